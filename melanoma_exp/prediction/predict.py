"""Predicts images: files are decoded in threads while the network works on those before."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.prediction.saved_model import SavedModel

BATCH = 64
AHEAD = 3  # batches that are decoded while one is predicted


@dataclass(frozen=True)
class Prediction:
    """What the run says about one image.

    Attributes:
        path: The image.
        predicted: The most probable class.
        probability: Of each class, calibrated, in the order of the run's classes.
        chance: Of the alerted class, calibrated; None where the run's data has no such class.
        alert: Whether `chance` reaches the run's threshold; None where the run has none.
        unsure: Whether it lies where the threshold itself is uncertain.
        unusual: In what it is unlike the training images, or ""; None where the run cannot tell.
    """

    path: Path
    predicted: str
    probability: tuple[float, ...]
    chance: float | None
    alert: bool | None
    unsure: bool
    unusual: str | None

    @property
    def advice(self) -> str:
        """What to do with it, in the words of the worklist."""
        words = ["ALERT"] if self.alert else []
        words += ["unsure, look yourself"] if self.unsure else []
        words += ["unusual image"] if self.unusual else []
        return "; ".join(words)


@dataclass(frozen=True)
class Unread:
    """A file that is no image, and why."""

    path: Path
    reason: str


def predict(
    saved: SavedModel, files: Sequence[Path], progress: Callable[[int], None] = lambda done: None
) -> tuple[list[Prediction], list[Unread]]:
    """Predicts every file that can be read.

    Args:
        saved: The run.
        files: Images.
        progress: Told how many files are done.

    Returns:
        The predictions and the files that could not be read, each in the order of `files`.
    """
    predictions: list[Prediction] = []
    unread: list[Unread] = []
    done = 0
    for batch in _decoded(saved, files):
        good = [(path, image) for path, image in batch if isinstance(image, np.ndarray)]
        unread += [Unread(path, image) for path, image in batch if isinstance(image, str)]
        if good:
            images = np.stack([image for _, image in good])
            predictions += judge(saved, [path for path, _ in good], images)
        done += len(batch)
        progress(done)
    return predictions, unread


def judge(saved: SavedModel, paths: Sequence[Path], images: np.ndarray) -> list[Prediction]:
    """Returns what the run says about decoded images.

    Args:
        saved: The run.
        paths: Of the images.
        images: uint8 (n, h, w, 3).
    """
    logits = saved.logits(images)
    decision = saved.decision
    probability = decision.class_probability(logits)
    chance = decision.probability(logits, saved.classes)
    alerts, doubts = decision.alerts(chance), decision.is_unsure(chance)
    score = saved.out_of_distribution
    unusual = score.notes(images) if score else [None] * len(images)
    return [
        Prediction(
            path=path,
            predicted=saved.classes[int(shares.argmax())],
            probability=tuple(shares.tolist()),
            chance=float(chance[k]) if decision.positive else None,
            alert=bool(alerts[k]) if decision.threshold is not None else None,
            unsure=bool(doubts[k]),
            unusual=unusual[k],
        )
        for k, (path, shares) in enumerate(zip(paths, probability, strict=True))
    ]


Batch = list[tuple[Path, np.ndarray | str]]


def _decoded(saved: SavedModel, files: Sequence[Path]) -> Iterator[Batch]:
    """Yields decoded images, or the reason why there is none, a few batches ahead."""

    def one(path: Path) -> np.ndarray | str:
        try:
            return saved.decode(path)
        except Exception as error:  # a damaged file can make a decoder raise anything
            return str(error) or type(error).__name__

    starts = range(0, len(files), BATCH)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        waiting: list[list[Future]] = []
        for start in starts:
            waiting.append([pool.submit(one, path) for path in files[start : start + BATCH]])
            if len(waiting) > AHEAD:
                yield _finished(files, waiting.pop(0), start - AHEAD * BATCH)
        for k, batch in enumerate(waiting, len(starts) - len(waiting)):
            yield _finished(files, batch, k * BATCH)


def _finished(files: Sequence[Path], batch: list[Future], start: int) -> Batch:
    return [(files[start + k], task.result()) for k, task in enumerate(batch)]

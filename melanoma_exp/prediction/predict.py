"""Predicts images: threads decode the next files while the network predicts."""

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from melanoma_exp.data import image_file
from melanoma_exp.data.inputs.encoding import Row
from melanoma_exp.prediction.saved_model import SavedModel

BATCH = 64
NO_NUMBER = "the network's output is not a number"
AHEAD = 3  # batches that are decoded while one is predicted


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Attributes:
        path: The image.
        predicted: The class: the most probable one, unless the run corrects for the class shares of
            its training.
        probabilities: Of each class, calibrated, in the order of the run's classes.
        alert_probability: Of the alerted class, calibrated; None where the data has none.
        alert: Whether `alert_probability` reaches the threshold; None where the run has none.
        unsure: Whether it is within the confidence interval of the threshold.
        unusual: How it differs from the training images, or ""; None where the run cannot say.
        metadata: What was known of it and used, text by column.
        sha256: Of the file that was decoded; "" where there is no file.
    """

    path: Path
    predicted: str
    probabilities: tuple[float, ...]
    alert_probability: float | None
    alert: bool | None
    unsure: bool
    unusual: str | None
    metadata: Row = field(default_factory=dict)
    sha256: str = ""

    @property
    def advice(self) -> str:
        """What to do with it, as the worklist puts it."""
        words = ["ALERT"] if self.alert else []
        words += ["unsure, needs review"] if self.unsure else []
        words += ["unusual image"] if self.unusual else []
        return "; ".join(words)


@dataclass(frozen=True)
class UnreadableFile:
    """A file that could not be read, or for which the network gives no numbers, and why."""

    path: Path
    reason: str


def predict(
    saved: SavedModel,
    files: Sequence[Path],
    progress: Callable[[int], None] = lambda done: None,
    metadata: Callable[[Path], Row] = lambda path: {},
) -> tuple[list[Prediction], list[UnreadableFile]]:
    """Predicts every file that can be read.

    Args:
        saved: The run.
        files: Images.
        progress: Called with the number of files that are done.
        metadata: Gives what is known of a file, text by column.

    Returns:
        The predictions and the files without one, each in the order of `files`.
    """
    predictions: list[Prediction] = []
    unreadable: list[UnreadableFile] = []
    done = 0
    for batch in decoded(saved, files):
        good = [one for one in batch if isinstance(one, Decoded)]
        unreadable += [one for one in batch if isinstance(one, UnreadableFile)]
        if good:
            paths, images = [one.path for one in good], np.stack([one.image for one in good])
            found = predict_batch(saved, paths, images, [metadata(path) for path in paths])
            predictions += [
                replace(one, sha256=read.sha256)
                for one, read in zip(found, good, strict=True)
                if isinstance(one, Prediction)
            ]
            unreadable += [one for one in found if isinstance(one, UnreadableFile)]
        done += len(batch)
        progress(done)
    return predictions, unreadable


def predict_batch(
    saved: SavedModel,
    paths: Sequence[Path],
    images: np.ndarray,
    metadata: Sequence[Row] | None = None,
) -> list[Prediction | UnreadableFile]:
    """Predicts decoded images; where the network gives no numbers there is no prediction.

    Args:
        saved: The run.
        paths: Of the images.
        images: uint8 (n, h, w, 3).
        metadata: Of each image text by column; None is unknown.

    Raises:
        ValueError: A text is no number where one is expected.
    """
    metadata = metadata or [{}] * len(paths)
    logits = saved.logits(images, saved.encode(metadata))
    with np.errstate(all="ignore"):  # a tiny temperature makes a large logit infinite
        figures = np.concatenate([logits, saved.decision.class_probability(logits)], axis=1)
    sound = np.isfinite(figures).all(axis=1)
    rows = np.flatnonzero(sound).tolist()
    good, known = [paths[k] for k in rows], [metadata[k] for k in rows]
    found = iter(_predictions(saved, good, images[sound], logits[sound], known))
    return [
        next(found) if one else UnreadableFile(path, NO_NUMBER)
        for path, one in zip(paths, sound, strict=True)
    ]


def _predictions(
    saved: SavedModel,
    paths: Sequence[Path],
    images: np.ndarray,
    logits: np.ndarray,
    metadata: Sequence[Row],
) -> list[Prediction]:
    """Returns what the decision makes of finite logits."""
    decision = saved.decision
    probabilities = decision.class_probability(logits)
    predicted = decision.predicted(logits, saved.classes)
    alerted = decision.probability(logits, saved.classes)
    alerts, unsure = decision.alerts(alerted), decision.is_unsure(alerted)
    score = saved.out_of_distribution
    unusual = score.notes(images) if score else [None] * len(images)
    return [
        Prediction(
            path=path,
            predicted=saved.classes[int(predicted[k])],
            probabilities=tuple(shares.tolist()),
            alert_probability=float(alerted[k]) if decision.positive else None,
            alert=bool(alerts[k]) if decision.threshold is not None else None,
            unsure=bool(unsure[k]),
            unusual=unusual[k],
            metadata=metadata[k],
        )
        for k, (path, shares) in enumerate(zip(paths, probabilities, strict=True))
    ]


@dataclass(frozen=True)
class Decoded:
    """A file, its SHA-256 and its pixels, uint8 (h, w, 3)."""

    path: Path
    sha256: str
    image: np.ndarray


def decoded(saved: SavedModel, files: Sequence[Path]) -> Iterator[list[Decoded | UnreadableFile]]:
    """Yields decoded images, or the reason why there is none; decodes a few batches ahead."""

    def one(path: Path) -> Decoded | UnreadableFile:
        try:
            content = image_file.read(path, saved.experiment.dataset.max_pixels)
            return Decoded(path, hashlib.sha256(content).hexdigest(), saved.decode(content))
        except Exception as error:  # a damaged file can make a decoder raise anything
            return UnreadableFile(path, str(error) or type(error).__name__)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        pending: deque[list[Future]] = deque()
        for start in range(0, len(files), BATCH):
            pending.append([pool.submit(one, path) for path in files[start : start + BATCH]])
            if len(pending) > AHEAD:
                yield [task.result() for task in pending.popleft()]
        for batch in pending:
            yield [task.result() for task in batch]

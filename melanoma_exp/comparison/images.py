"""The predictions of a row on the images of a part, its runs stacked."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.comparison.predictions import PARTS, Evaluated, Predictions
from melanoma_exp.comparison.rows import Row


@dataclass(frozen=True)
class Answers:
    """A row's predictions on one set of images.

    Attributes:
        ids: str (n,), sorted.
        group: str (n,).
        label: int64 (n,).
        predicted: int64 (repeats, n), as each run decided: a repeat is a run, or, where folds
            validated on different images, the runs of one seed together.
        probability: float64 (repeats, n, classes).
        training: int64 (n,), which training of a repeat predicted: the number of its fold, else 0.
    """

    ids: np.ndarray
    group: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray
    training: np.ndarray

    @property
    def together(self) -> np.ndarray:
        """Float64 (n, classes), the mean over repeats."""
        return self.probability.mean(axis=0)

    @property
    def mostly(self) -> np.ndarray:
        """Int64 (n,), the class most repeats predict; of equally many the more probable one."""
        votes = (self.predicted[:, :, None] == np.arange(self.probability.shape[2])).sum(axis=0)
        return (votes + self.together / 2).argmax(axis=1)

    @property
    def images(self) -> tuple[bytes, bytes]:
        """Equal for equal images with equal labels."""
        return self.ids.tobytes(), self.label.tobytes()


class UnpairedError(Exception):
    """The runs of a row predicted different images; the message says which."""


def answers(row: Row, part: str) -> Answers:
    """Stacks the predictions of a row's runs.

    Raises:
        UnpairedError: They have no such part, or not the same images.
    """
    if any(part not in run.parts for run in row.runs):
        raise UnpairedError(f"has no {PARTS[part]} images")
    repeats = [run.parts[part] for run in row.runs]
    training = np.zeros(len(repeats[0].ids), np.int64)
    if len({predictions.images for predictions in repeats}) > 1:
        seeds = [[run.parts[part] for run in runs] for runs in _by_seed(row.runs)]
        repeats = [_joined(parts, part) for parts in seeds]
        training = _trainings(seeds[0])
    if len({predictions.images for predictions in repeats}) > 1:
        raise UnpairedError(f"its own runs have different {PARTS[part]} images")
    first = repeats[0]
    predicted, probability = (
        np.stack([getattr(r, name) for r in repeats]) for name in ("predicted", "probability")
    )
    return Answers(first.ids, first.group, first.label, predicted, probability, training)


def same_images(
    rows: Sequence[Row], part: str
) -> tuple[list[tuple[Row, Answers]], list[tuple[Row, str]]]:
    """Returns the rows that predicted the same images, the largest set that can be paired.

    Args:
        rows: Best first; of two sets of equal size that of the better row is taken.
        part: Which part.

    Returns:
        The rows with their predictions, and the other rows with the reason why not.
    """
    found, left = [], []
    for row in rows:
        try:
            found.append((row, answers(row, part)))
        except UnpairedError as error:
            left.append((row, str(error)))
    if not found:
        return [], left
    (common, _), *_ = Counter(a.images for _, a in found).most_common(1)
    kept = [(row, a) for row, a in found if a.images == common]
    for row, a in found:
        if a.images != common:
            left.append((row, _difference(a, kept[0][1], PARTS[part])))
    return kept, left


def _difference(mine: Answers, common: Answers, part: str) -> str:
    shared = np.intersect1d(mine.ids, common.ids)
    if len(shared) == len(mine.ids) == len(common.ids):
        return f"its {part} images have other labels"
    return f"has other {part} images ({len(mine.ids)}, of which {len(shared)} are shared)"


def _by_seed(runs: Sequence[Evaluated]) -> list[list[Evaluated]]:
    found: Mapping[str, list[Evaluated]] = {run.stored.params["seed"]: [] for run in runs}
    for run in runs:
        found[run.stored.params["seed"]].append(run)
    return list(found.values())


def _trainings(folds: Sequence[Predictions]) -> np.ndarray:
    """Returns for each image of `_joined` which of the folds it is from."""
    order = np.argsort(np.concatenate([p.ids for p in folds]))
    return np.repeat(np.arange(len(folds)), [len(p.ids) for p in folds])[order]


def _joined(parts: Sequence[Predictions], part: str) -> Predictions:
    """Returns the folds of one seed as one set of images."""
    ids = np.concatenate([p.ids for p in parts])
    order = np.argsort(ids)
    if len(np.unique(ids)) != len(ids):
        raise UnpairedError(f"its own runs have different but overlapping {PARTS[part]} images")
    names = ("group", "label", "predicted", "probability")
    columns = (np.concatenate([getattr(p, name) for p in parts])[order] for name in names)
    return Predictions(ids[order], *columns)

"""Labels that are likely wrong, by what networks say that never saw the image.

Confident learning (Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in
Dataset Labels", JAIR 70, 2021): a class is believed of an image where its probability reaches the
mean that images labelled so have. That makes up for networks that are too sure, or prefer some
classes. Where a class other than the label is believed, the label is suspect. Suspects are ranked
by how far that class is above its mean, less how far the label is above its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.audit.findings import LABEL, Finding
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.spec import UserError

TYPICAL = 2  # images of each class that a suspect is shown beside


@dataclass(frozen=True)
class OutOfFold:
    """What networks predicted of images that they did not learn from.

    Attributes:
        name: Of the sweep.
        classes: The columns.
        sources: The n images.
        label: int64 (n,), the labels that the networks of other images learned.
        probability: float64 (n, classes).
    """

    name: str
    classes: tuple[str, ...]
    sources: tuple[str, ...]
    label: NDArray[np.int64]
    probability: NDArray[np.float64]


def rank(
    label: NDArray[np.int64], probability: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns suspects, the most suspect first, and the class that each looks like.

    Args:
        label: int64 (n,).
        probability: float64 (n, classes), out of fold.

    Returns:
        Rows, int64 (m,), and classes, int64 (m,).
    """
    n, classes = probability.shape
    own = probability[np.arange(n), label]
    held = np.bincount(label, minlength=classes)
    # A class that no image has is never believed.
    limit = np.bincount(label, own, minlength=classes) / np.maximum(held, 1)
    limit = np.where(held > 0, limit, np.inf)
    believed = np.where(probability >= limit, probability, -1.0)
    like = believed.argmax(axis=1)
    suspect = (believed.max(axis=1) > 0) & (like != label)
    rows = np.flatnonzero(suspect)
    like_excess = probability[rows, like[rows]] - limit[like[rows]]
    margin = like_excess - (own[rows] - limit[label[rows]])
    order = np.argsort(-margin, kind="stable")
    return rows[order], like[rows[order]]


def find(survey: Survey, predicted: OutOfFold) -> list[Finding]:
    """Returns a finding for each suspect label, the most suspect first.

    Raises:
        UserError: The predictions are of other images.
    """
    samples = survey.samples
    row_of = dict(zip(map(str, samples.source), samples.image.tolist(), strict=True))
    there = [k for k, source in enumerate(predicted.sources) if source in row_of]
    if len(there) < len(predicted.sources):
        gone = next(source for source in predicted.sources if source not in row_of)
        raise UserError(
            f"--from-sweep {predicted.name}: {len(predicted.sources) - len(there)} of "
            f"{len(predicted.sources)} predicted images are not in this dataset (first: {gone}); "
            "audit the dataset that the sweep was run on"
        )
    typical = _typical(predicted)
    found: list[Finding] = []
    for row, like in zip(*rank(predicted.label, predicted.probability), strict=True):
        label = predicted.classes[predicted.label[row]]
        source, name = predicted.sources[row], predicted.classes[like]
        chances = predicted.probability[row, [predicted.label[row], like]]
        beside = (*typical[predicted.label[row]], *typical[like])
        found.append(
            Finding(
                LABEL,
                f"looks like {name}",
                (source,),
                (label,),
                (row_of[source],),
                f"number {len(found) + 1} of the suspects: probability of {name} {chances[1]:.2f}, "
                f"of {label} {chances[0]:.2f}",
                beside=tuple(row_of[predicted.sources[k]] for k in beside if k != row),
            )
        )
    return found


def unjudged(survey: Survey, predicted: OutOfFold) -> list[str]:
    """Returns a note where images have no prediction, none where all have."""
    left = len(survey.samples) - len(predicted.sources)
    if not left:
        return []
    return [
        f"--from-sweep {predicted.name}: {left} of {len(survey.samples)} images were neither "
        "validated nor tested by it; their labels are not judged"
    ]


def _typical(predicted: OutOfFold) -> list[Sequence[int]]:
    """Returns for each class the images of that label which look most like it."""
    found: list[Sequence[int]] = []
    for k in range(len(predicted.classes)):
        rows = np.flatnonzero(predicted.label == k)
        order = np.argsort(-predicted.probability[rows, k], kind="stable")
        found.append(rows[order[:TYPICAL]].tolist())
    return found

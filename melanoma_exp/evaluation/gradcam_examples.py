"""Chooses the images that Grad-CAM is shown for, and computes their maps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.loader import Reader
from melanoma_exp.evaluation import gradcam
from melanoma_exp.evaluation.evaluate import PartEvaluation
from melanoma_exp.evaluation.metrics.decision import Decision

if TYPE_CHECKING:
    import keras

RANDOM_MODELS = 3  # with random weights, for the sanity check: one alone is too noisy
OUTCOMES = ("false negative", "true positive", "false positive", "true negative")


@dataclass(frozen=True)
class GradCamExamples:
    """Images with their Grad-CAM maps.

    Attributes:
        rows: int (k,), of the part.
        outcomes: Of each image, one of `OUTCOMES`.
        chance: float64 (k,), the probability that was compared with the threshold.
        target: int (k,), the class that each map explains.
        maps: float32 (k, h, w), of the trained model.
        randomised: float32 (k, h, w), of the same architecture with random weights.
        correlation: float64 (models, k), rank correlation of the evidence, negative included, with
            that of several models of random weights; NaN where either is constant.
    """

    rows: NDArray[np.intp]
    outcomes: list[str]
    chance: NDArray[np.float64]
    target: NDArray[np.int64]
    maps: NDArray[np.float32]
    randomised: NDArray[np.float32]
    correlation: NDArray[np.float64]

    @property
    def mean_correlation(self) -> float:
        """Mean absolute correlation, NaN without any: an inverted map is as uninformative."""
        known = np.abs(self.correlation[~np.isnan(self.correlation)])
        return float(known.mean()) if len(known) else float("nan")


def compute(
    model: "keras.Model",
    layer: str,
    part: PartEvaluation,
    decision: Decision,
    reader: Reader,
    count: int,
    seed: int,
) -> GradCamExamples:
    """Chooses images of a part by their outcome and computes their Grad-CAM maps.

    Args:
        model: The trained one.
        layer: Whose feature maps are explained.
        part: Where images are chosen.
        decision: What an alert is; without positive classes the predicted class is explained.
        reader: Of the pixels and metadata.
        count: At most this many images.
        seed: Of the random weights.
    """
    classes = part.samples.classes
    label, probability = part.samples.label, part.probability
    columns = np.array([k for k, c in enumerate(classes) if c in decision.positive], np.int64)
    if len(columns):
        positive, chance = np.isin(label, columns), decision.probability(part.logits, classes)
        alerted = decision.alerts(chance)
        target = columns[probability[:, columns].argmax(axis=1)]
    else:
        target = part.predicted
        positive, chance = np.ones(len(label), bool), probability[np.arange(len(label)), target]
        alerted = target == label
    rows, outcomes = choose(positive, alerted, chance, count)
    chosen = part.samples.take(rows)
    images = reader.read(chosen)
    metadata = None if reader.metadata is None else reader.metadata.read(chosen.image)

    def explain(network: "keras.Model") -> NDArray[np.float32]:
        return gradcam.evidence(network, layer, images, target[rows], metadata)

    trained = explain(model)
    others = [explain(gradcam.randomised(model, seed + k)) for k in range(RANDOM_MODELS)]
    size = images.shape[1:3]
    # A map without positive evidence is empty: draw the random model with the fewest of those.
    drawn = max(others, key=lambda evidence: int((evidence > 0).any(axis=(1, 2)).sum()))
    return GradCamExamples(
        rows,
        outcomes,
        chance[rows],
        target[rows],
        gradcam.positive_part(trained, *size),
        gradcam.positive_part(drawn, *size),
        np.array([gradcam.rank_correlation(trained, other) for other in others]),
    )


def choose(
    positive: NDArray[np.bool_], alerted: NDArray[np.bool_], chance: NDArray, count: int
) -> tuple[NDArray[np.intp], list[str]]:
    """Returns the rows of the images to show and their outcomes, outcome by outcome.

    False negatives, true positives and false positives share the room equally; what one leaves
    goes to the next, and to true negatives last. Within an outcome the most telling come first:
    false and true negatives by rising probability, alerted images by falling.

    Args:
        positive: bool (n,).
        alerted: bool (n,).
        chance: float (n,), of the alert.
        count: At most this many.
    """
    masks: Sequence[NDArray[np.bool_]] = (
        positive & ~alerted,
        positive & alerted,
        ~positive & alerted,
        ~positive & ~alerted,
    )
    ordered = []
    for mask, rising in zip(masks, (True, False, False, True), strict=True):
        rows = np.flatnonzero(mask)
        ordered.append(rows[np.argsort(chance[rows] * (1 if rising else -1), kind="stable")])
    taken = [0, 0, 0, 0]
    left = min(count, len(positive))
    while left:
        unfilled = [k for k in range(3) if taken[k] < len(ordered[k])] or [3]
        for k in unfilled[:left]:
            taken[k] += 1
            left -= 1
    rows = np.concatenate([order[:n] for order, n in zip(ordered, taken, strict=True)])
    outcomes = [name for name, n in zip(OUTCOMES, taken, strict=True) for _ in range(n)]
    return rows, outcomes

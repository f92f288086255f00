"""Judges a trained model on validation and test: what is computed, and of which images."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.config import Experiment
from melanoma_exp.data.datasets.base import Dataset
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation import gradcam
from melanoma_exp.evaluation.metrics import assessment, threshold
from melanoma_exp.evaluation.metrics.assessment import Assessment
from melanoma_exp.evaluation.metrics.decision import Decision, softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap

if TYPE_CHECKING:
    import keras

NETS = 3  # of random weights that Grad-CAM is checked with: one alone says little
VERDICTS = ("missed", "found", "false alarm", "rightly calm")


@dataclass(frozen=True)
class Judged:
    """A part with its predictions.

    Attributes:
        samples: Its n rows.
        logits: float64 (n, c).
        assessment: What they are worth.
    """

    samples: Samples
    logits: NDArray[np.float64]
    assessment: Assessment

    @property
    def probability(self) -> NDArray[np.float64]:
        """Of each class, not calibrated, float64 (n, c)."""
        return softmax(self.logits)


@dataclass(frozen=True)
class Explained:
    """Images with what Grad-CAM says about them.

    Attributes:
        rows: int (k,), of the part.
        verdicts: What became of each, of `VERDICTS`.
        chance: float64 (k,), what was compared with the threshold.
        asked: int (k,), the class asked about.
        maps: float32 (k, h, w), of the trained model.
        randomised: float32 (k, h, w), of the same net with random weights, one of several.
        correlation: float64 (nets, k), rank correlation of the evidence, negative included, with
            that of several random nets; NaN where either is constant.
    """

    rows: NDArray[np.intp]
    verdicts: list[str]
    chance: NDArray[np.float64]
    asked: NDArray[np.int64]
    maps: NDArray[np.float32]
    randomised: NDArray[np.float32]
    correlation: NDArray[np.float64]

    @property
    def mean_correlation(self) -> float:
        """Mean size of the correlations, NaN without any: a map turned round shows as little."""
        known = np.abs(self.correlation[~np.isnan(self.correlation)])
        return float(known.mean()) if len(known) else float("nan")


def logits_of(model: "keras.Model", part: Samples, reader: Reader, batch_size: int) -> NDArray:
    """Returns the model's output for a part, float64 (n, c).

    Raises:
        UserError: It is not finite.
    """
    logits = model.predict(Loader(part, reader, batch_size).dataset(), verbose=0)
    found = np.asarray(logits, np.float64)
    assessment.check(found)
    return found


def alerts(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """Returns by name the classes that make up each alert, the one predictions are made for first.

    A set of two classes has one alert; a set of many has melanoma against the rest and malignant
    against benign.
    """
    if dataset.task != "classes":
        return {dataset.task: (dataset.task,)}
    return {"melanoma": dataset.melanoma, "malignant": dataset.malignant}


def judge(
    experiment: Experiment,
    logits: Mapping[str, tuple[Samples, NDArray[np.float64]]],
    metadata: Mapping[str, Mapping[str, str]],
) -> tuple[Decision, dict[str, Judged]]:
    """Decides on validation and judges every part by that decision.

    Args:
        experiment: What was run.
        logits: For each part, "val" among them, its rows and float64 (n, c).
        metadata: By source id further columns.
    """
    spec = experiment.evaluation
    draws = {
        name: Bootstrap(part.group, spec.resamples, spec.seed, spec.confidence)
        for name, (part, _) in logits.items()
    }
    val, seen = logits["val"]
    decisions = threshold.decide(
        seen, val.label, val.classes, alerts(experiment.dataset), spec.threshold, draws["val"]
    )
    judged = {}
    for name, (part, found) in logits.items():
        known = [metadata.get(str(source), {}) for source in part.source]
        worth = assessment.assess(
            found, part.label, part.classes, known, decisions, spec, draws[name]
        )
        judged[name] = Judged(part, found, worth)
    return decisions[0], judged


def explained(
    model: "keras.Model", part: Judged, decision: Decision, reader: Reader, experiment: Experiment
) -> Explained:
    """Explains hits and misses of the alert, the gravest kind first, the surest of each kind first.

    Args:
        model: The trained one.
        part: Where images are chosen.
        decision: What an alert is; without positive classes the predicted class decides.
        reader: Of the pixels.
        experiment: How many, and the seed of the random weights.
    """
    spec, classes = experiment.evaluation, part.samples.classes
    truth, probability = part.samples.label, part.probability
    columns = np.array([k for k, c in enumerate(classes) if c in decision.positive], np.int64)
    if len(columns):
        positive, chance = np.isin(truth, columns), decision.probability(part.logits, classes)
        alerted = decision.alerts(chance)
        asked = columns[probability[:, columns].argmax(axis=1)]
    else:
        asked = probability.argmax(axis=1)
        positive, chance = np.ones(len(truth), bool), probability.max(axis=1)
        alerted = asked == truth
    rows, verdicts = choose(positive, alerted, chance, spec.explained)
    images = reader.read(part.samples.take(rows))
    ours = gradcam.evidence(model, images, asked[rows])
    others = [
        gradcam.evidence(gradcam.randomised(model, spec.seed + k), images, asked[rows])
        for k in range(NETS)
    ]
    size = images.shape[1:3]
    # A map without anything positive shows nothing: of the nets the most telling one is drawn.
    telling = max(others, key=lambda sums: int((sums > 0).any(axis=(1, 2)).sum()))
    return Explained(
        rows,
        verdicts,
        chance[rows],
        asked[rows],
        gradcam.positive_part(ours, *size),
        gradcam.positive_part(telling, *size),
        np.array([gradcam.rank_correlation(ours, other) for other in others]),
    )


def choose(
    positive: NDArray[np.bool_], alerted: NDArray[np.bool_], chance: NDArray, count: int
) -> tuple[NDArray[np.intp], list[str]]:
    """Returns rows to look at and what became of each, kind by kind.

    Three kinds get equal room, missed, found and false alarms; what one leaves goes to the next,
    and to the rightly calm last. Within a kind the most telling come first: of missed ones those
    given the lowest probability, of alerted ones the highest.

    Args:
        positive: bool (n,).
        alerted: bool (n,).
        chance: float (n,), of the alert.
        count: At most this many.
    """
    kinds: Sequence[NDArray[np.bool_]] = (
        positive & ~alerted,
        positive & alerted,
        ~positive & alerted,
        ~positive & ~alerted,
    )
    ordered = []
    for kind, rising in zip(kinds, (True, False, False, True), strict=True):
        rows = np.flatnonzero(kind)
        ordered.append(rows[np.argsort(chance[rows] * (1 if rising else -1), kind="stable")])
    taken = [0, 0, 0, 0]
    left = min(count, len(positive))
    while left:
        open_kinds = [k for k in range(3) if taken[k] < len(ordered[k])] or [3]
        for k in open_kinds[:left]:
            taken[k] += 1
            left -= 1
    rows = np.concatenate([order[:n] for order, n in zip(ordered, taken, strict=True)])
    verdicts = [v for v, n in zip(VERDICTS, taken, strict=True) for _ in range(n)]
    return rows, verdicts

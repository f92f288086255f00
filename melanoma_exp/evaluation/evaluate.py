"""Evaluates predictions: decides on validation, then computes the metrics of every part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import part_metrics, prior, threshold
from melanoma_exp.evaluation.metrics.decision import Decision, softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate
from melanoma_exp.evaluation.metrics.part_metrics import PartMetrics
from melanoma_exp.evaluation.worth import Interval, Worth
from melanoma_exp.models.inference import Correction


@dataclass(frozen=True)
class PartEvaluation:
    """A part with its predictions and their metrics.

    Attributes:
        samples: The n rows of the part.
        logits: float64 (n, c).
        predicted: int64 (n,), the class of each image.
        decision: For the first alert.
        metrics: Of these predictions.
        members: int64 (n,), how many networks of an ensemble scored each row; None for one network.
    """

    samples: Samples
    logits: NDArray[np.float64]
    predicted: NDArray[np.int64]
    decision: Decision
    metrics: PartMetrics
    members: NDArray[np.int64] | None = None

    @property
    def probability(self) -> NDArray[np.float64]:
        """Of each class, not calibrated, float64 (n, c)."""
        return softmax(self.logits)

    @property
    def calibrated(self) -> NDArray[np.float64]:
        """Of each class, calibrated, float64 (n, c)."""
        return self.decision.class_probability(self.logits)

    @property
    def alert_probability(self) -> NDArray[np.float64]:
        """Of the alerted class, calibrated, float64 (n,); 0 where the data has no such class."""
        return self.decision.probability(self.logits, self.samples.classes)


def evaluate(
    logits: Mapping[str, tuple[Samples, NDArray[np.float64]]],
    alerts: Mapping[str, tuple[str, ...]],
    metadata: Mapping[str, Mapping[str, str]],
    spec: Evaluation,
    correction: Correction = "none",
    shares: Mapping[str, float] | None = None,
    drawn: bool = False,
) -> tuple[Decision, dict[str, PartEvaluation]]:
    """Chooses the decision on validation and evaluates every part with it.

    Args:
        logits: For each part, "val" among them, its rows and float64 (n, c).
        alerts: Classes of each alert by its name.
        metadata: By source id further columns.
        spec: What to report.
        correction: How the class shares of training change the predicted class.
        shares: By class its share of what training saw; needed for a correction.
        drawn: Whether the images are drawings.

    Returns:
        The decision for the first alert, and each part's evaluation.
    """
    bootstraps = {
        name: Bootstrap(part.group, spec.resamples, spec.seed, spec.confidence)
        for name, (part, _) in logits.items()
    }
    val, val_logits = logits["val"]
    decisions = threshold.decide(
        val_logits, val.label, val.classes, alerts, spec.threshold, bootstraps["val"]
    )
    corrected = prior.choose(correction, shares or {}, val_logits, val.label, val.classes)
    decisions = [replace(one, prior_correction=corrected) for one in decisions]
    evaluations = {
        name: apply(decisions, part, outputs, metadata, spec, bootstraps[name])
        for name, (part, outputs) in logits.items()
    }
    return replace(
        decisions[0], worth=_worth(evaluations["val"], spec.confidence, drawn)
    ), evaluations


def apply(
    decisions: Sequence[Decision],
    part: Samples,
    logits: NDArray[np.float64],
    metadata: Mapping[str, Mapping[str, str]],
    spec: Evaluation,
    bootstrap: Bootstrap | None = None,
) -> PartEvaluation:
    """Evaluates a part with decisions that were made before, which it cannot change.

    Args:
        decisions: One for each alert, of one temperature; the first is for the first alert.
        part: Its rows.
        logits: float64 (n, c).
        metadata: By source id further columns.
        spec: What to report.
        bootstrap: Of the rows, if it has been drawn already.
    """
    drawn = bootstrap or Bootstrap(part.group, spec.resamples, spec.seed, spec.confidence)
    columns = [metadata.get(str(source), {}) for source in part.source]
    metrics = part_metrics.compute(
        logits, part.label, part.classes, columns, decisions, spec, drawn
    )
    predicted = decisions[0].predicted(logits, part.classes)
    return PartEvaluation(part, logits, predicted, decisions[0], metrics)


def _worth(val: PartEvaluation, confidence: float, drawn: bool) -> Worth:
    """Returns what the first alert is worth on validation."""
    alert = val.metrics.alerts.get(val.decision.name)
    answers = np.unique(val.predicted)
    only = val.samples.classes[answers[0]] if len(answers) == 1 else ""
    metrics = alert.metrics if alert else {}
    tp, fn, fp, tn = (alert and alert.confusion) or (0, 0, 0, 0)
    specificity = metrics.get("specificity")
    return Worth(
        tp,
        tp + fn,
        fp,
        fp + tn,
        _interval(metrics.get("sensitivity")),
        _interval(specificity and specificity.turned()),
        _interval(metrics.get("auc")),
        confidence,
        only,
        drawn,
    )


def _interval(found: Estimate | None) -> Interval | None:
    if found is None or np.isnan(found.value):
        return None
    numbers = found.to_dict()
    return Interval(float(found.value), numbers["low"], numbers["high"])

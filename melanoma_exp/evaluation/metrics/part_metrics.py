"""All metrics of the predictions of one part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import alert, calibration, classes, subgroups
from melanoma_exp.evaluation.metrics.alert import Alert
from melanoma_exp.evaluation.metrics.calibration import Reliability
from melanoma_exp.evaluation.metrics.classes import ClassTable
from melanoma_exp.evaluation.metrics.decision import Decision, softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats
from melanoma_exp.evaluation.metrics.subgroups import Subgroup


@dataclass(frozen=True)
class PartMetrics:
    """The metrics of one part.

    Attributes:
        classes: Class names.
        groups: Groups of images in the part.
        overall: Over all classes; `<alert>_sensitivity` and `<alert>_specificity` among them are of
            the predicted class, without any threshold; with a prior correction also
            `accuracy_argmax` and `balanced_accuracy_argmax` of the most probable class.
        added: Of the metrics that the config adds, by name.
        table: Of each class.
        alerts: By name.
        calibration: Of the most probable class ("classes") and of each alert by its name: before
            and after the temperature.
        log_losses: Before and after the temperature.
        subgroups: For the first alert.
        temperature: Fitted on validation.
    """

    classes: tuple[str, ...]
    groups: int
    overall: dict[str, Estimate]
    added: dict[str, Estimate]
    table: ClassTable
    alerts: dict[str, Alert]
    calibration: dict[str, tuple[Reliability, Reliability]]
    log_losses: tuple[float, float]
    subgroups: list[Subgroup]
    temperature: float


def compute(
    logits: Floats,
    truth: NDArray[np.integer],
    names: Sequence[str],
    metadata: Sequence[Mapping[str, str]],
    decisions: Sequence[Decision],
    spec: Evaluation,
    bootstrap: Bootstrap,
) -> PartMetrics:
    """Computes the metrics of a part.

    Args:
        logits: float64 (n, c), finite, n >= 1.
        truth: int (n,), labels 0 to c - 1.
        names: The c class names.
        metadata: Further columns of each image, n of them, empty where there are none.
        decisions: One or more, of one temperature, chosen on validation.
        spec: What to report.
        bootstrap: Of the n rows.
    """
    temperature = decisions[0].temperature
    plain, tempered = softmax(logits), softmax(logits, temperature)
    predicted = decisions[0].predicted(logits, names)
    right = predicted == truth
    overall, table = classes.evaluate(truth, plain, bootstrap, predicted)
    if decisions[0].prior_correction is not None:
        overall |= classes.uncorrected(truth, plain, bootstrap)
    added = bootstrap.estimate_each(
        {m.name: m.function(truth, plain, names, bootstrap) for m in spec.metrics}
    )
    of_truth = np.arange(len(truth)), truth
    reliability = {
        "classes": (
            calibration.of_classes(logits, truth, 1.0, spec.bins, bootstrap),
            calibration.of_classes(logits, truth, temperature, spec.bins, bootstrap),
        )
    }
    alerts: dict[str, Alert] = {}
    by_subgroup: list[Subgroup] = []
    for decision in decisions:
        columns = [k for k, name in enumerate(names) if name in decision.positive]
        positive = np.isin(truth, columns)
        before, after = (np.minimum(p[:, columns].sum(axis=1), 1.0) for p in (plain, tempered))
        if not alerts and not by_subgroup:
            by_subgroup = subgroups.evaluate(
                metadata,
                spec.subgroups,
                spec.ages,
                right,
                positive,
                before,
                decision.alerts(after),
                decision,
                bootstrap,
            )
        if not columns:
            continue
        found = np.isin(predicted, columns)
        overall[f"{decision.name}_sensitivity"] = bootstrap.share(found, positive)
        overall[f"{decision.name}_specificity"] = bootstrap.share(~found, ~positive)
        alerts[decision.name] = alert.evaluate(positive, before, after, decision, spec, bootstrap)
        reliability[decision.name] = (
            calibration.reliability(before, positive, spec.bins, bootstrap),
            calibration.reliability(after, positive, spec.bins, bootstrap),
        )
    losses = [
        float(-np.log(np.maximum(p[of_truth], classes.SMALLEST)).mean()) for p in (plain, tempered)
    ]
    return PartMetrics(
        tuple(names),
        bootstrap.groups,
        overall,
        added,
        table,
        alerts,
        reliability,
        (losses[0], losses[1]),
        by_subgroup,
        temperature,
    )

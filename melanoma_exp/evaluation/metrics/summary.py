"""The metrics of a part as flat numbers, rows of tables and JSON."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import subgroups
from melanoma_exp.evaluation.metrics.alert import CHANCES, GRID, Alert
from melanoma_exp.evaluation.metrics.calibration import Reliability
from melanoma_exp.evaluation.metrics.classes import ClassTable
from melanoma_exp.evaluation.metrics.interval import Estimate, Floats
from melanoma_exp.evaluation.metrics.part_metrics import PartMetrics

# Metrics that are logged with their intervals; the JSON has those of all.
HEADLINE = ("accuracy", "balanced_accuracy", "balanced_accuracy_argmax", "macro_f1", "macro_auc")
# Which probability a metric is of: of the logits (plain), or of the logits over the temperature.
PROBABILITY = {
    "plain": "overall, by_class; of alerts auc, average_precision, partial_auc, ..._at_..., roc, "
    "precision_recall; of subgroups auc",
    "calibrated": "of alerts auc_calibrated, threshold and all metrics at it, decision_curve; of "
    "subgroups sensitivity, specificity; whatever is called after or calibrated",
}
AT_THRESHOLD = ("sensitivity", "specificity")


def flat(found: PartMetrics) -> dict[str, float]:
    """Returns metrics by name, NaN where undefined; `_low` and `_high` are ends of intervals.

    `<alert>_sensitivity` is of the predicted class, `<alert>_alert_sensitivity` at the
    threshold. Those of the first alert have intervals.
    """
    first = next(iter(found.alerts), "")
    values: dict[str, float] = {}
    with_interval = {*HEADLINE, f"{first}_sensitivity", f"{first}_specificity"}
    for name, estimate in found.overall.items():
        values |= _with_ends(name, estimate, name in with_interval)
    for name, estimate in found.added.items():
        values |= _with_ends(name, estimate, True)
    for name, alert in found.alerts.items():
        for metric in AT_THRESHOLD:
            if metric in alert.metrics:
                key = f"{name}_alert_{metric}"
                values |= _with_ends(key, alert.metrics[metric], name == first)
        for metric, estimate in alert.metrics.items():
            if metric not in (*AT_THRESHOLD, "ppv", "npv", "npv_at_prevalence"):
                values |= _with_ends(f"{name}_{metric}", estimate, (name, metric) == (first, "auc"))
    for name, (before, after) in found.calibration.items():
        prefix = "" if name == "classes" else f"{name}_"
        values |= {f"{prefix}ece": before.ece_mass, f"{prefix}ece_calibrated": after.ece_mass}
    return {**values, "log_loss_calibrated": found.log_losses[1]}


def class_heads() -> list[str]:
    """Returns the heads of `class_rows`."""
    heads = [f"{f}{end}" for f in ClassTable.METRICS for end in ("", "_low", "_high")]
    return ["class", "images", "groups", *heads]


def class_rows(found: PartMetrics) -> Iterator[list[Any]]:
    """Yields a row a class; NaN where undefined."""
    table = found.table
    for k, name in enumerate(found.classes):
        row = [name, table.support[k], table.groups[k]]
        for metric in ClassTable.METRICS:
            row += _numbers(getattr(table, metric).at(k))
        yield row


def subgroup_heads() -> list[str]:
    """Returns the heads of `subgroup_rows`."""
    heads = [f"{f}{end}" for f in subgroups.METRICS for end in ("", "_low", "_high")]
    return ["attribute", "value", "images", "groups", "positives", *heads, "note"]


def subgroup_rows(found: PartMetrics) -> Iterator[list[Any]]:
    """Yields a row a subgroup; empty where there is no metadata."""
    for one in found.subgroups:
        row = [one.attribute, one.value, one.images, one.groups, one.positives]
        for metric in subgroups.METRICS:
            row += _numbers(one.metrics[metric]) if one.metrics else ["", "", ""]
        yield [*row, one.note]


def to_json(found: PartMetrics, name: str, spec: Evaluation, **more: Any) -> str:
    """Returns everything as JSON text, null where undefined.

    Args:
        found: The metrics.
        name: Of the part.
        spec: How they were computed.
        more: Further entries, JSON-serialisable.
    """
    content = {
        "part": name,
        "images": int(found.table.support.sum()),
        "groups": found.groups,
        "classes": list(found.classes),
        "method": {
            "confidence": spec.confidence,
            "resamples": spec.resamples,
            "seed": spec.seed,
            "shares": "Wilson, rows divided by the design effect of groups",
            "balanced_accuracy": "score interval of the mean recall",
            "auc": "score interval with Hanley and McNeil's variance",
            "others": "expanded percentile bootstrap of groups",
            "probability": PROBABILITY,
            "prevalence": spec.prevalence.model_dump(),
            "partial_auc_above": spec.partial_auc_above,
        },
        "overall": {key: e.to_dict() for key, e in {**found.overall, **found.added}.items()},
        "by_class": {c: _class(found.table, k) for k, c in enumerate(found.classes)},
        "confusion": found.table.confusion.tolist(),
        "alerts": {key: _alert(alert) for key, alert in found.alerts.items()},
        "calibration": {
            "temperature": found.temperature,
            "log_loss": {"before": found.log_losses[0], "after": found.log_losses[1]},
            **{
                key: {"before": _reliability(before), "after": _reliability(after)}
                for key, (before, after) in found.calibration.items()
            },
        },
        "subgroups": [
            {
                "attribute": s.attribute,
                "value": s.value,
                "images": s.images,
                "groups": s.groups,
                "positives": s.positives,
                "note": s.note,
                **{key: estimate.to_dict() for key, estimate in s.metrics.items()},
            }
            for s in found.subgroups
        ],
        **more,
    }
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _class(table: ClassTable, k: int) -> dict[str, Any]:
    metrics = {f: getattr(table, f).at(k).to_dict() for f in ClassTable.METRICS}
    return {"images": int(table.support[k]), "groups": int(table.groups[k]), **metrics}


def _alert(alert: Alert) -> dict[str, Any]:
    curve, precision_recall = alert.roc, alert.precision_recall
    decision = alert.decision
    return {
        "positive": list(decision.positive),
        "images": alert.images,
        "positives": alert.positives,
        "positive_groups": alert.groups,
        "threshold": decision.threshold,
        "rule": decision.rule,
        "unsure": decision.unsure,
        "confusion": dict(
            zip(("tp", "fn", "fp", "tn"), alert.confusion or (None,) * 4, strict=True)
        ),
        "figures": {key: estimate.to_dict() for key, estimate in alert.metrics.items()},
        "roc": dict(
            zip(("false_positive_rate", "sensitivity", "threshold"), map(_list, curve), strict=True)
        ),
        "roc_band": {"false_positive_rate": _list(GRID), **_lists(alert.band)},
        "precision_recall": dict(
            zip(("recall", "precision", "threshold"), map(_list, precision_recall), strict=True)
        ),
        "decision_curve": {
            "threshold_probability": _list(CHANCES),
            **_lists(alert.benefit),
            "everyone": _list(alert.benefit_of_all),
        },
    }


def _reliability(found: Reliability) -> dict[str, Any]:
    return {
        "ece_width": found.ece_width,
        "ece_mass": found.ece_mass,
        "bins": {
            "images": found.images.tolist(),
            "said": _list(found.predicted),
            **_lists(found.observed),
        },
    }


def _with_ends(name: str, estimate: Estimate, with_interval: bool) -> dict[str, float]:
    value, low, high = _numbers(estimate)
    ends = {f"{name}_low": low, f"{name}_high": high}
    return {name: value, **(ends if with_interval else {})}


def _numbers(estimate: Estimate) -> list[float]:
    return [float(estimate.value), float(estimate.low), float(estimate.high)]


def _lists(estimate: Estimate) -> dict[str, list[float | None]]:
    return {name: _list(getattr(estimate, name)) for name in ("value", "low", "high")}


def _list(values: Floats) -> list[float | None]:
    """Returns numbers as JSON has them: null for what is not finite."""
    return [float(v) if np.isfinite(v) else None for v in values]

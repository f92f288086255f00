"""Chooses the decision of a run on the validation part."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.config import Threshold
from melanoma_exp.evaluation.metrics import calibration
from melanoma_exp.evaluation.metrics.decision import Basis, Decision, softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Floats
from melanoma_exp.evaluation.metrics.roc import TINY, Curve, Ranking


def decide(
    logits: Floats,
    truth: NDArray[np.integer],
    classes: Sequence[str],
    alerts: Mapping[str, tuple[str, ...]],
    rule: Threshold,
    bootstrap: Bootstrap,
) -> list[Decision]:
    """Returns a decision for each alert.

    The threshold is midway between the deciding score and the next lower one, so that a rounding
    error in a later prediction changes nothing. The unsure band is the percentile
    interval of the threshold over resampled validation groups: images in it could
    have been decided otherwise with another validation set.

    Args:
        logits: float64 (n, c), finite, of the validation part.
        truth: int (n,).
        classes: Class names.
        alerts: By name the class names that make it up; may be empty.
        rule: How to choose.
        bootstrap: Of the n rows.
    """
    temperature = calibration.fit_temperature(logits, truth)
    probability = softmax(logits, temperature)
    decisions = []
    for name, positive in alerts.items():
        columns = [k for k, c in enumerate(classes) if c in positive]
        alerted = np.isin(truth, columns)
        score = np.minimum(probability[:, columns].sum(axis=1), 1.0)
        threshold, band = _choose(alerted, score, rule, bootstrap)
        above = score >= (np.inf if threshold is None else threshold)
        text = f"{rule.rule} >= {rule.target:g} on validation"
        has_threshold = threshold is not None
        basis = Basis(
            len(truth),
            int(alerted.sum()),
            float(above[alerted].mean()) if has_threshold else None,
            float((~above[~alerted]).mean()) if has_threshold else None,
        )
        decisions.append(
            Decision(
                name,
                tuple(classes[k] for k in columns),
                temperature,
                threshold,
                text,
                band,
                basis,
                None,
            )
        )
    return decisions


def _choose(
    positive: NDArray[np.bool_], score: Floats, rule: Threshold, bootstrap: Bootstrap
) -> tuple[float | None, tuple[float, float] | None]:
    """Returns the threshold and its band, None where the part lacks positives or others."""
    if positive.all() or not positive.any():
        return None, None
    ranking = Ranking(positive, score, bootstrap)
    lower = np.maximum(ranking.below, 0.0)
    middle = (ranking.thresholds + lower) / 2
    middle = np.where(middle > lower, middle, ranking.thresholds)
    # Above the highest score nothing is alerted: needed where no threshold is specific enough.
    candidates = np.append(middle, (score.max() + 1) / 2)

    def metrics(weights: Floats) -> dict[str, Floats]:
        curve = ranking.curve(weights)
        defined = np.where((curve.positives > 0) & (curve.others > 0), 1.0, np.nan)
        return {"threshold": defined * candidates[_row(curve, rule)]}

    chosen = bootstrap.estimate(metrics)["threshold"]
    threshold = float(chosen.value)
    low, high = (float(np.nan_to_num(v, nan=threshold)) for v in (chosen.low, chosen.high))
    return threshold, (min(low, threshold), max(high, threshold))


def _row(curve: Curve, rule: Threshold) -> NDArray[np.intp]:
    """Returns the threshold's row for each weighting, (m,)."""
    if rule.rule == "sensitivity":
        return curve.reaching(rule.target)
    passing = curve.false > (1 - rule.target) * curve.others + TINY
    rows: NDArray[np.intp] = passing.sum(axis=0)
    return rows

"""The scalars that an evaluation reports, by name, and which direction is better."""

from collections.abc import Iterable

from melanoma_exp.evaluation.config import Evaluation

OVERALL = (  # over all classes
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "weighted_auc",
    "kappa",
    "top2_accuracy",
    "brier",
    "log_loss",
)
CALIBRATION = ("ece", "ece_calibrated")
LOWER_IS_BETTER = (
    *CALIBRATION,
    "brier",
    "log_loss",
    "log_loss_calibrated",
    "number_needed_to_biopsy",
)


def at(metric: str, share: float) -> str:
    """Returns e.g. `sensitivity_at_90_specificity`."""
    other = "specificity" if metric == "sensitivity" else "sensitivity"
    return f"{metric}_at_{100 * share:g}_{other}"


def higher_is_better(name: str) -> bool:
    """Returns the direction of a built-in scalar, with the name of its alert or without."""
    return not name.endswith(LOWER_IS_BETTER)


def directions(spec: Evaluation, alerts: Iterable[str]) -> dict[str, bool]:
    """Returns every scalar of `summary.flat` with a direction, and whether higher is better.

    The shares of alerted and of unsure images are not among them: neither more nor fewer alerts
    are better, and the unsure band depends on the number of resamples.

    Args:
        spec: Says at which sensitivities and specificities the ROC curve is read.
        alerts: Names of the alerts.
    """
    of_alert = (
        "sensitivity",
        "specificity",
        "alert_sensitivity",
        "alert_specificity",
        "auc",
        "auc_calibrated",
        "average_precision",
        "partial_auc",
        *(at("sensitivity", share) for share in spec.specificities),
        *(at("specificity", share) for share in spec.sensitivities),
        "ppv_at_prevalence",
        "number_needed_to_biopsy",
        *CALIBRATION,
    )
    of_alerts = (f"{alert}_{name}" for alert in alerts for name in of_alert)
    known = (*OVERALL, *CALIBRATION, "log_loss_calibrated", *of_alerts)
    added = {metric.name: metric.higher_is_better for metric in spec.metrics}
    return {**{name: higher_is_better(name) for name in known}, **added}

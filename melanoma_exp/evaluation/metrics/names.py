"""The scalars that an evaluation reports, by name, and which direction is better."""

from collections.abc import Iterable

from melanoma_exp.evaluation.config import Evaluation

# Over all classes: whether higher is better.
OVERALL = {
    "accuracy": True,
    "balanced_accuracy": True,
    "macro_f1": True,
    "macro_auc": True,
    "weighted_auc": True,
    "kappa": True,
    "top2_accuracy": True,
    "brier": False,
    "log_loss": False,
}
CALIBRATION = {"ece": False, "ece_calibrated": False}


def at(metric: str, share: float) -> str:
    """Returns e.g. `sensitivity_at_90_specificity`."""
    other = "specificity" if metric == "sensitivity" else "sensitivity"
    return f"{metric}_at_{100 * share:g}_{other}"


def directions(spec: Evaluation, alerts: Iterable[str]) -> dict[str, bool]:
    """Returns every scalar of `summary.flat` that has a better direction, and whether it is up.

    The share of alerted images is not among them: neither more nor fewer alerts are better.

    Args:
        spec: Says at which sensitivities and specificities the ROC curve is read.
        alerts: Names of the alerts.
    """
    of_alert = {
        "sensitivity": True,
        "specificity": True,
        "alert_sensitivity": True,
        "alert_specificity": True,
        "auc": True,
        "average_precision": True,
        "partial_auc": True,
        **{at("sensitivity", share): True for share in spec.specificities},
        **{at("specificity", share): True for share in spec.sensitivities},
        "ppv_at_prevalence": True,
        "number_needed_to_biopsy": False,
        "unsure": False,
        **CALIBRATION,
    }
    return {
        **OVERALL,
        **CALIBRATION,
        "log_loss_calibrated": False,
        **{metric.name: metric.higher_is_better for metric in spec.metrics},
        **{f"{alert}_{name}": up for alert in alerts for name, up in of_alert.items()},
    }

"""The metrics of an alert for some classes against the rest: curves, and those at a threshold."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import names
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals.areas import area
from melanoma_exp.evaluation.metrics.score_intervals.average_precision import average_precision

STEPS = 50
# False positive rates at which the band of the ROC curve is drawn.
GRID = np.arange(STEPS + 1) / STEPS
CHANCES = np.arange(1, 100) / 100  # threshold probabilities of the decision curve


@dataclass(frozen=True)
class Alert:
    """The metrics of an alert on a part.

    Attributes:
        decision: Chosen on validation.
        images: In the part.
        positives: Images of the alerted classes.
        groups: Groups of images of the alerted classes.
        metrics: By name, as `evaluate` lists them.
        confusion: True positives, false negatives, false positives, true negatives at the
            threshold; None without threshold.
        roc: float64 (3, k): false positive rate, sensitivity, plain probability; corners only.
        band: Sensitivity at each false positive rate of `rates`.
        precision_recall: float64 (3, k): recall, precision, plain probability.
        benefit: Net benefit at each threshold probability of `chances`.
        benefit_of_all: float64, the same where every image is alerted.
    """

    decision: Decision
    images: int
    positives: int
    groups: int
    metrics: dict[str, Estimate]
    confusion: tuple[int, int, int, int] | None
    roc: Floats
    band: Estimate
    precision_recall: Floats
    benefit: Estimate
    benefit_of_all: Floats

    rates: ClassVar[Floats] = GRID
    chances: ClassVar[Floats] = CHANCES

    def sentence(self) -> str:
        """Returns how many images were alerted at the threshold, and which, in words."""
        if self.confusion is None:
            return "No alert: validation gave no threshold."
        tp, fn, fp, tn = self.confusion
        return (
            f"The alert, at threshold {self.decision.threshold:.4f}, fired on {tp + fp} of "
            f"{self.images} images: {tp} of {tp + fn} {self.decision.name}, {fp} of {fp + tn} "
            "others."
        )


def evaluate(
    positive: NDArray[np.bool_],
    plain: Floats,
    calibrated: Floats,
    decision: Decision,
    spec: Evaluation,
    bootstrap: Bootstrap,
) -> Alert:
    """Returns the metrics of an alert.

    From the plain probability, as whoever has the table of predictions computes them: auc;
    average_precision; partial_auc (area above a sensitivity, normalised as in the ISIC 2024
    challenge); sensitivity_at_S_specificity; specificity_at_S_sensitivity, these two read off the
    part's own curve; and the curves. With more than two classes a temperature changes the order
    of images, so auc_calibrated, by the probability that the alert goes by, is another figure.

    From the calibrated probability, at the threshold of the decision: sensitivity, specificity,
    ppv, npv, alerted (share of images), and at the stated prevalence p by Bayes' rule
    ppv_at_prevalence = s p / (s p + (1 - t) (1 - p)), npv_at_prevalence likewise, and
    number_needed_to_biopsy = 1 / ppv_at_prevalence.

    The net benefit is at the prevalence of the part.

    Args:
        positive: bool (n,).
        plain: float64 (n,), 0 to 1, softmax of the logits.
        calibrated: float64 (n,), 0 to 1, of the logits over the temperature.
        decision: Chosen on validation.
        spec: What to report.
        bootstrap: Of the n rows.
    """
    ranking = Ranking(positive, plain, bootstrap)
    alerted = decision.alerts(calibrated)
    prevalence = spec.prevalence.of(decision.name)
    table = bootstrap.cells(2 * ~positive + ~alerted, 4)
    # An image counts as alerted at every threshold probability up to its own.
    bins = np.searchsorted(CHANCES, calibrated, "right")
    size = len(CHANCES) + 1
    reached = bootstrap.cells(~positive * size + bins, 2 * size)

    def metrics(weights: Floats) -> dict[str, Floats]:
        curve = ranking.curve(weights)
        found = {
            "partial_auc": curve.partial_auc(spec.partial_auc_above),
            **{names.at("sensitivity", s): curve.sensitivity_at(s) for s in spec.specificities},
            **{names.at("specificity", s): curve.specificity_at(s) for s in spec.sensitivities},
            "band": curve.band(STEPS),
        }
        counts = (reached @ weights).reshape(2, size, -1)
        above = counts[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
        images = counts.sum(axis=(0, 1))
        found["benefit"] = net_benefit(above[0], above[1], images, CHANCES[:, None])
        if decision.threshold is not None:
            found |= _at_prevalence(table @ weights, prevalence)
        return found

    found = {
        "auc": area([ranking], bootstrap),
        "auc_calibrated": area([Ranking(positive, calibrated, bootstrap)], bootstrap),
        "average_precision": average_precision(ranking, bootstrap),
        **bootstrap.estimate(metrics),
    }
    band, benefit = found.pop("band"), found.pop("benefit")
    everyone = np.ones(len(positive), bool)
    confusion = None
    if decision.threshold is not None:
        found |= {
            "sensitivity": bootstrap.share(alerted, positive),
            "specificity": bootstrap.share(~alerted, ~positive),
            "ppv": bootstrap.share(positive, alerted),
            "npv": bootstrap.share(~positive, ~alerted),
            "alerted": bootstrap.share(alerted, everyone),
            "unsure": bootstrap.share(decision.is_unsure(calibrated), everyone),
        }
        tp, fn, fp, tn = (int(count) for count in table.sum(axis=1))
        confusion = tp, fn, fp, tn
    share = positive.mean()
    roc, precision_recall = curves(positive, plain)
    return Alert(
        decision,
        len(positive),
        int(positive.sum()),
        len(np.unique(bootstrap.index[positive])),
        found,
        confusion,
        roc,
        band,
        precision_recall,
        benefit,
        net_benefit(share, 1 - share, 1.0, CHANCES),
    )


def net_benefit(
    true: Floats | float, false: Floats | float, images: Floats | float, chance: Floats | float
) -> Floats:
    """Returns true alerts less false ones at the odds of a chance, as a share of all images.

    Vickers and Elkin, Decision curve analysis, Medical Decision Making 26, 2006.

    Args:
        true: Alerted images of the alerted classes, a count or weight.
        false: Other alerted images, likewise.
        images: All images, likewise.
        chance: Probability of the alerted classes from which one would act, within (0, 1). It is
            meant of a calibrated probability.
    """
    return np.asarray((true - false * (chance / (1 - chance))) / images)


def curves(positive: NDArray[np.bool_], score: Floats) -> tuple[Floats, Floats]:
    """Returns the ROC and the precision-recall curve.

    Args:
        positive: bool (n,).
        score: float64 (n,), 0 to 1.

    Returns:
        float64 (3, k), from the highest threshold to the lowest: false positive rate, sensitivity,
        threshold (first 0, 0, infinite), without the points on a straight line between others;
        and recall, precision, threshold, where recall rises. Without positives or others the shares
        are NaN.
    """
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true = np.cumsum(positive[order])[last].astype(float)
    false = 1.0 + last - true
    thresholds = score[order][last]
    precision = true / (true + false)
    with np.errstate(invalid="ignore"):
        recall, rate = true / true[-1], false / false[-1]
    roc = np.array([np.append(0, rate), np.append(0, recall), np.append(np.inf, thresholds)])
    steps = np.diff(np.array([np.append(0, false), np.append(0, true)]))
    straight = steps[0, 1:] * steps[1, :-1] == steps[0, :-1] * steps[1, 1:]
    corners = np.concatenate([[True], ~straight, [True]])
    rises = np.diff(true, prepend=0.0) > 0
    return roc[:, corners], np.array([recall, precision, thresholds])[:, rises]


def _at_prevalence(counts: Floats, prevalence: float) -> dict[str, Floats]:
    tp, fn, fp, tn = counts
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity, specificity = tp / (tp + fn), tn / (fp + tn)
        true, false = sensitivity * prevalence, (1 - specificity) * (1 - prevalence)
        ppv = true / (true + false)
        false_negative = (1 - sensitivity) * prevalence
        true_negative = specificity * (1 - prevalence)
        return {
            "ppv_at_prevalence": ppv,
            "npv_at_prevalence": true_negative / (true_negative + false_negative),
            "number_needed_to_biopsy": np.where(ppv > 0, 1 / ppv, np.nan),
        }

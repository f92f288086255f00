"""Metrics over all classes and of each class, with intervals."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats, stack
from melanoma_exp.evaluation.metrics.names import OVERALL
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals import f1
from melanoma_exp.evaluation.metrics.score_intervals.areas import area
from melanoma_exp.evaluation.metrics.score_intervals.average_precision import average_precision

SMALLEST = 1e-15  # a probability of 0 for what happened would make the log loss infinite


@dataclass(frozen=True)
class ClassTable:
    """Per class, in class order: estimates (c,), NaN where undefined; counts int64.

    Attributes:
        precision: Share of the images predicted as the class that are of it (positive predictive
            value).
        recall: Share of the images of the class that are predicted as it (sensitivity).
        specificity: Share of the other images that are not predicted as it.
        f1: Harmonic mean of precision and recall.
        auc: Area under the ROC curve, the class against the rest.
        average_precision: Area under the precision-recall curve, by steps.
        support: Images of each class.
        groups: Groups of images of each class.
        confusion: (c, c), true class by row, predicted by column.
    """

    precision: Estimate
    recall: Estimate
    specificity: Estimate
    f1: Estimate
    auc: Estimate
    average_precision: Estimate
    support: NDArray[np.int64]
    groups: NDArray[np.int64]
    confusion: NDArray[np.int64]

    METRICS = ("precision", "recall", "specificity", "f1", "auc", "average_precision")


def evaluate(
    truth: NDArray[np.integer],
    probability: Floats,
    bootstrap: Bootstrap,
    predicted: NDArray[np.integer] | None = None,
) -> tuple[dict[str, Estimate], ClassTable]:
    """Returns the metrics over all classes and those of each class.

    A class without an image in the part, or in a resample, is left out of every mean.

    Args:
        truth: int (n,), n >= 1, labels 0 to c - 1.
        probability: float64 (n, c), finite, rows sum to 1.
        bootstrap: Of the n rows.
        predicted: int (n,), the predicted class; None is the most probable one.

    Returns:
        Overall: accuracy; balanced_accuracy (mean recall); macro_f1; macro_auc and weighted_auc
        (mean one-vs-rest area, plain or by images); kappa (Cohen, Educational and Psychological
        Measurement 20, 1960); top2_accuracy; brier (summed over classes, 0 to 2; Brier, Monthly
        Weather Review 78, 1950); log_loss (natural logarithm). And the table.
    """
    classes = probability.shape[1]
    predicted = probability.argmax(axis=1) if predicted is None else predicted
    labels = np.arange(classes)
    is_class, is_predicted = truth[:, None] == labels, predicted[:, None] == labels
    rankings = [Ranking(is_class[:, k], probability[:, k], bootstrap) for k in labels]
    matrix = bootstrap.cells(truth * classes + predicted, classes**2)
    of_truth = probability[np.arange(len(truth)), truth]
    losses = {
        "brier": ((probability - is_class) ** 2).sum(axis=1),
        "log_loss": -np.log(np.maximum(of_truth, SMALLEST)),
    }
    sums = {
        name: bootstrap.cells(np.zeros(len(truth), int), 1, values=values)
        for name, values in losses.items()
    }

    def metrics(weights: Floats) -> dict[str, Floats]:
        confusion = (matrix @ weights).reshape(classes, classes, -1)
        total = confusion.sum(axis=(0, 1))
        return {
            "kappa": _kappa(confusion),
            **{name: (added @ weights)[0] / total for name, added in sums.items()},
        }

    found = bootstrap.estimate(metrics)
    support = is_class.sum(axis=0)
    found["balanced_accuracy"] = bootstrap.mean_share(predicted == truth, truth)
    found["macro_auc"] = area(rankings, bootstrap)
    found["weighted_auc"] = area(rankings, bootstrap, support.astype(np.float64))
    found["macro_f1"] = f1.mean(truth, predicted, bootstrap)
    found["accuracy"] = bootstrap.share(predicted == truth, np.ones(len(truth), bool))
    # Two classes are named, the first of equally probable ones before the next, as argmax does:
    # a network that answers all alike names the same two for every image.
    named = np.argsort(-probability, axis=1, kind="stable")[:, :2]
    found["top2_accuracy"] = bootstrap.share(
        (named == truth[:, None]).any(axis=1), np.ones(len(truth), bool)
    )
    shares = {
        "precision": [bootstrap.share(is_class[:, k], is_predicted[:, k]) for k in labels],
        "recall": [bootstrap.share(is_predicted[:, k], is_class[:, k]) for k in labels],
        "specificity": [bootstrap.share(~is_predicted[:, k], ~is_class[:, k]) for k in labels],
    }
    table = ClassTable(
        **{name: stack(rows) for name, rows in shares.items()},
        f1=stack([f1.of_class(is_class[:, k], is_predicted[:, k], bootstrap) for k in labels]),
        average_precision=stack([average_precision(ranking, bootstrap) for ranking in rankings]),
        auc=stack([area([ranking], bootstrap) for ranking in rankings]),
        support=support,
        groups=np.array([len(np.unique(bootstrap.index[is_class[:, k]])) for k in labels]),
        confusion=(matrix @ np.ones(bootstrap.groups)).reshape(classes, classes).astype(np.int64),
    )
    return {name: found[name] for name in OVERALL}, table


def uncorrected(
    truth: NDArray[np.integer], probability: Floats, bootstrap: Bootstrap
) -> dict[str, Estimate]:
    """Returns accuracy_argmax and balanced_accuracy_argmax: of the most probable class.

    Arguments as of `evaluate`.
    """
    right = probability.argmax(axis=1) == truth
    return {
        "accuracy_argmax": bootstrap.share(right, np.ones(len(truth), bool)),
        "balanced_accuracy_argmax": bootstrap.mean_share(right, truth),
    }


def _kappa(confusion: Floats) -> Floats:
    """Returns Cohen's kappa of confusion matrices (c, c, m)."""
    right = np.einsum("kkm->km", confusion)
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    total = confusion.sum(axis=(0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreed, chance = right.sum(axis=0) / total, (true * predicted).sum(axis=0) / total**2
        kappa: Floats = np.where(chance < 1, (agreed - chance) / (1 - chance), np.nan)
    return kappa

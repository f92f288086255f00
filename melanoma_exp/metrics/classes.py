"""Figures of one part of a split, overall and by class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.metrics import (
    balanced_accuracy_score,
    confusion_matrix,
    f1_score,
    precision_recall_fscore_support,
    roc_auc_score,
)


@dataclass(frozen=True)
class ClassTable:
    """Per class, in class order: float64 (c,), NaN where undefined; `support` int64 (c,)."""

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    auc: np.ndarray
    support: np.ndarray
    confusion: np.ndarray


def scores(
    truth: np.ndarray, probability: np.ndarray, positive: Sequence[int], name: str
) -> dict[str, float]:
    """Returns the figures of a part.

    Classes without an image in the part are left out of every mean.

    Args:
        truth: int (n,), n >= 1.
        probability: float (n, c), rows sum to 1.
        positive: Labels that make up the alerted class, e.g. melanoma; may be empty.
        name: Of the alerted class.

    Returns:
        accuracy; balanced_accuracy (mean recall); macro_f1; macro_auc (mean one-vs-rest area under
        the ROC curve); and of the alerted class, decided by the most probable class,
        `<name>_sensitivity` and `<name>_specificity`. NaN where undefined.
    """
    predicted = probability.argmax(axis=1)
    present = np.unique(truth)
    with np.errstate(invalid="ignore"):
        figures = {
            "accuracy": float((predicted == truth).mean()),
            "balanced_accuracy": float(balanced_accuracy_score(truth, predicted)),
            "macro_f1": float(
                f1_score(truth, predicted, labels=present, average="macro", zero_division=0)
            ),
            "macro_auc": _mean(class_auc(truth, probability)),
        }
    if len(positive):
        actual, alerted = np.isin(truth, positive), np.isin(predicted, positive)
        figures[f"{name}_sensitivity"] = _mean(alerted[actual].astype(float))
        figures[f"{name}_specificity"] = _mean((~alerted[~actual]).astype(float))
    return figures


def class_table(truth: np.ndarray, probability: np.ndarray) -> ClassTable:
    """Returns the figures of each class; arguments as in `scores`."""
    labels = np.arange(probability.shape[1])
    predicted = probability.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        truth, predicted, labels=labels, zero_division=np.nan
    )
    return ClassTable(
        precision, recall, f1, class_auc(truth, probability), support,
        confusion_matrix(truth, predicted, labels=labels),
    )  # fmt: skip


def class_auc(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Returns the one-vs-rest area under the ROC curve of each class, NaN where undefined."""
    return np.array(
        [
            roc_auc_score(truth == label, probability[:, label])
            if 0 < (truth == label).sum() < len(truth)
            else np.nan
            for label in range(probability.shape[1])
        ]
    )


def _mean(values: np.ndarray) -> float:
    values = values[~np.isnan(values)]
    return float(values.mean()) if len(values) else float("nan")

"""Figures of the runs of a setup, computed from their predictions, alike for all."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from melanoma_exp.comparison.predictions import Predictions
from melanoma_exp.comparison.rows import Row

MELANOMA = ("mel", "melanoma")
Figure = Callable[[Predictions, int], float]  # of a part, and the position of melanoma


def melanoma_of(classes: tuple[str, ...]) -> int:
    """Returns the position of melanoma among the classes."""
    return next(k for k, name in enumerate(classes) if name in MELANOMA)


def values(row: Row, figure: Figure) -> list[float]:
    """Returns a figure of each run of a setup, on validation."""
    return [figure(run.parts["val"], melanoma_of(run.classes)) for run in row.runs]


def balanced_accuracy(part: Predictions, melanoma: int) -> float:
    """Returns the mean recall of the classes that the part has."""
    return float(balanced_accuracy_score(part.label, part.predicted))


def macro_auc(part: Predictions, melanoma: int) -> float:
    """Returns the mean area under the curve of each class that the part has, against the rest."""
    areas = [roc_auc_score(part.label == k, part.probability[:, k]) for k in np.unique(part.label)]
    return float(np.mean(areas))


def melanoma_auc(part: Predictions, melanoma: int) -> float:
    """Returns the area under the curve of melanoma against the rest."""
    return float(roc_auc_score(part.label == melanoma, part.probability[:, melanoma]))


def specificity_at_95(part: Predictions, melanoma: int) -> float:
    """Returns the share of others below the highest threshold that 95 % of melanomas reach."""
    score, positive = part.probability[:, melanoma], part.label == melanoma
    found = np.sort(score[positive])[::-1]
    threshold = found[int(np.ceil(0.95 * len(found))) - 1]
    return float((score[~positive] < threshold).mean())


def sensitivity_at_95(part: Predictions, melanoma: int) -> float:
    """Returns the share of melanomas above the lowest threshold that 95 % of others stay below."""
    score, positive = part.probability[:, melanoma], part.label == melanoma
    others = np.sort(score[~positive])[::-1]
    threshold = others[int(np.floor(0.05 * len(others)))]
    return float((score[positive] > threshold).mean())

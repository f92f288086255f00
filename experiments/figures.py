"""Figures of the runs of a setup, computed from their predictions, alike for all."""

from collections.abc import Callable

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from melanoma_exp.comparison.predictions import Predictions
from melanoma_exp.comparison.rows import Row
from melanoma_exp.evaluation.metrics.interval import Bootstrap
from melanoma_exp.evaluation.metrics.roc import Curve, Ranking

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


def balanced_accuracy_argmax(part: Predictions, melanoma: int) -> float:
    """Returns the mean recall if the most probable class were the answer, without correction."""
    return float(balanced_accuracy_score(part.label, part.probability.argmax(axis=1)))


def macro_auc(part: Predictions, melanoma: int) -> float:
    """Returns the mean area under the curve of each class that the part has, against the rest."""
    return float(np.mean([_curve(part, k).auc() for k in np.unique(part.label)]))


def melanoma_auc(part: Predictions, melanoma: int) -> float:
    """Returns the area under the curve of melanoma against the rest."""
    return float(_curve(part, melanoma).auc()[0])


def specificity_at_95(part: Predictions, melanoma: int) -> float:
    """Returns the specificity of the highest threshold that 95 % of melanomas reach."""
    return float(_curve(part, melanoma).specificity_at(0.95)[0])


def sensitivity_at_95(part: Predictions, melanoma: int) -> float:
    """Returns the sensitivity of the lowest threshold that 95 % of others stay below."""
    return float(_curve(part, melanoma).sensitivity_at(0.95)[0])


def _curve(part: Predictions, label: int) -> Curve:
    """Returns the ROC curve of a class against the rest, each image counted once."""
    rows = Bootstrap(part.group, resamples=1, seed=0, confidence=0.95)
    ranking = Ranking(part.label == label, part.probability[:, label], rows)
    return ranking.curve(np.ones((rows.groups, 1)))

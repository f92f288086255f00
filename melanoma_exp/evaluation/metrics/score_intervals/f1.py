"""F1 with score intervals, of one class and the mean over classes.

F1 = 2 J / (1 + J) where J is the share of images both of the class and predicted as it among those
that are either (Hand, Christen and Kirielle, Machine Learning 110, 2021). J is a proportion, so its
interval is one of F1 too.
"""

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats
from melanoma_exp.evaluation.metrics.score_intervals.proportions import (
    Shares,
    quantile,
    score_interval,
    together,
)


def of_class(
    truth: NDArray[np.bool_], predicted: NDArray[np.bool_], bootstrap: Bootstrap
) -> Estimate:
    """Returns F1 of a class with the interval that Wilson's gives; NaN without images of it.

    Args:
        truth: bool (n,), images of the class.
        predicted: bool (n,), images predicted as it.
        bootstrap: Of the rows.
    """
    if not truth.any():
        return Estimate(*np.full(3, np.nan))
    found = bootstrap.share(truth & predicted, truth | predicted)
    return Estimate(*(2 * j / (1 + j) for j in (found.value, found.low, found.high)))


def mean(
    truth: NDArray[np.integer], predicted: NDArray[np.integer], bootstrap: Bootstrap
) -> Estimate:
    """Returns the mean F1 over the classes that have images, with its score interval.

    Each F1 is taken for a proportion of as many rows as give it the variance of J by the delta
    method. An error counts against two classes, so that their F1 go together: the mean gets the
    variance of the sum.

    Args:
        truth: int (n,).
        predicted: int (n,).
        bootstrap: Of the rows.
    """
    hits, rows = [], []
    for k in np.unique(truth):
        both, either = (truth == k) & (predicted == k), (truth == k) | (predicted == k)
        hits.append(np.bincount(bootstrap.index[both], minlength=bootstrap.groups))
        rows.append(np.bincount(bootstrap.index[either], minlength=bootstrap.groups))
    shares = Shares(np.array(hits, np.float64), np.array(rows, np.float64))
    j, weight = shares.value, np.full(len(hits), 1 / len(hits))
    sizes = shares.sizes() * (1 + j) ** 2 / 2
    errors: Floats = shares.hits - j[:, None] * shares.rows
    errors *= (2 / (1 + j) ** 2 / shares.rows.sum(axis=1))[:, None]
    f1 = 2 * j / (1 + j)
    z = quantile(bootstrap.confidence, bootstrap.groups - len(hits))
    z *= np.sqrt(together(weight[:, None] * errors))
    return Estimate(*np.array([weight @ f1, *score_interval(f1, sizes, weight, z)]))

"""t-tests and t intervals of the means of few values; pure functions of arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit


@dataclass(frozen=True)
class Difference:
    """First minus second: the estimate, its 95 % interval and a two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


def welch(first: np.ndarray, second: np.ndarray) -> Difference:
    """Compares the mean metrics of two sets of runs, given their training noise.

    Resampling two or three runs understates their variance; this does not. Welch,
    Biometrika 34 (1947) 28-35. A run over folds is the sum of several trainings, each with the
    variance of its own repeats; variances add and degrees of freedom follow from all of them
    (Satterthwaite, Biometrics Bulletin 2 (1946) 110-114). Trainings of one seed on different folds
    count as independent: they share initial weights, but no order of images.

    Args:
        first: float64 (runs, trainings) of at least 2 runs, from `paired_tests.contributions`.
        second: Likewise.
    """
    variances = [(x.var(axis=0, ddof=1) / len(x), len(x) - 1) for x in (first, second)]
    mean = float(first.sum(axis=1).mean() - second.sum(axis=1).mean())
    variance = float(sum(part.sum() for part, _ in variances))
    if variance < 1e-24:
        return _without_variance(mean)
    freedom = variance**2 / float(sum((part**2).sum() / runs for part, runs in variances))
    return _student(mean, math.sqrt(variance), freedom)


def corrected_resampled_t(differences: Sequence[float], test_to_train: float) -> Difference:
    """Tests whether the mean difference over folds is zero.

    Folds share most of their training images, so their differences are not independent and the
    plain t-test rejects too often. The variance of the mean is s^2 (1/J + n_test/n_train) instead
    of s^2/J. Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003)
    239-281.

    Args:
        differences: One a fold, at least 2.
        test_to_train: Images that measured a fold over images that trained it; 1/4 for 5 folds.
    """
    values = np.asarray(differences, np.float64)
    mean, n = float(values.mean()), len(values)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / n + test_to_train))
    if (
        error < 1e-12 < abs(mean)
    ):  # the same difference on every fold: chance cannot be judged by it
        return Difference(mean, math.nan, math.nan, math.nan)
    return _without_variance(mean) if error < 1e-12 else _student(mean, error, n - 1)


def t_half_width(values: Sequence[float]) -> float:
    """Returns half the 95 % t interval of the mean of independent values; NaN for fewer than 2."""
    n = len(values)
    if n < 2:
        return math.nan
    return float(stdtrit(n - 1, 0.975)) * float(np.std(values, ddof=1)) / math.sqrt(n)


def _student(mean: float, error: float, freedom: float) -> Difference:
    half = float(stdtrit(freedom, 0.975)) * error
    p = 2 * float(stdtr(freedom, -abs(mean) / error))
    return Difference(mean, mean - half, mean + half, p)


def _without_variance(mean: float) -> Difference:
    """Returns a difference that does not vary."""
    return Difference(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)

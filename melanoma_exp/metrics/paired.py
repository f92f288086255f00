"""Two models on the same images: is the difference more than chance? Pure functions of arrays.

Every test here is paired: it looks at the same image, or the same fold, under both models.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtr, stdtrit

RESAMPLES = 2000


@dataclass(frozen=True)
class Difference:
    """First minus second: the estimate, its 95 % interval and a two-sided p-value."""

    estimate: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class McNemar:
    """Images that one model alone gets right, and the two-sided p-value."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Resampled:
    """A figure of each run, float64 (runs,), and under each resample, (resamples, runs)."""

    observed: np.ndarray
    drawn: np.ndarray


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Tests whether two models err equally often.

    Of the images that exactly one model gets right, each is as likely to be the one's as the
    other's if they are equally good: a fair coin. The binomial p-value is exact for any number.
    McNemar, Psychometrika 12 (1947) 153-157; exact form: Fagerland, Lydersen and Laake, BMC
    Medical Research Methodology 13:91 (2013).

    Args:
        first: bool (n,), whether the first model is right.
        second: bool (n,), the same images under the second.
    """
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    return McNemar(b, c, min(1.0, 2 * tail / 2 ** (b + c)))


class GroupBootstrap:
    """Draws whole groups of images with replacement, the same draws for every model.

    Images of one lesion are no independent witnesses, so a group is drawn or left as a whole.
    Davison and Hinkley, Bootstrap Methods and their Application (1997), section 3.8.
    """

    def __init__(self, group: np.ndarray, seed: int = 0, resamples: int = RESAMPLES) -> None:
        """Draws.

        Args:
            group: (n,), images with equal values belong together.
            seed: Of the draws.
            resamples: How many.
        """
        _, self._member = np.unique(group, return_inverse=True)
        groups = int(self._member.max()) + 1
        draw = np.random.default_rng(seed).multinomial(
            groups, np.full(groups, 1 / groups), resamples
        )
        self._times = draw.astype(np.float64)  # (resamples, groups)

    def share(self, hit: np.ndarray, cell: np.ndarray) -> Resampled:
        """Returns the share of hits in each cell of images, averaged over the cells.

        With the true class as cell this is balanced accuracy, with one cell of all melanomas their
        sensitivity. A cell that a resample does not hold is left out of its mean.

        Args:
            hit: bool (runs, n).
            cell: int (n,); images with -1 count nowhere.

        Returns:
            NaN where no cell has an image.
        """
        cells = max(int(cell.max(initial=-1)) + 1, 1)
        size = self._by_group(np.ones(len(cell)), cell, cells)
        observed, drawn = [], []
        for run in hit:
            hits = self._by_group(run.astype(np.float64), cell, cells)
            total = [values.sum(axis=0, keepdims=True) for values in (hits, size)]
            observed.append(_mean_share(total[0], total[1])[0])
            drawn.append(_mean_share(self._times @ hits, self._times @ size))
        return Resampled(np.array(observed), np.stack(drawn, axis=1))

    def _by_group(self, value: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
        """Returns the sums of (n,) over each group and cell, (groups, cells)."""
        groups, kept = self._times.shape[1], cell >= 0
        place = self._member[kept] * cells + cell[kept]
        return np.bincount(place, value[kept], groups * cells).reshape(groups, cells)


def difference(first: Resampled, second: Resampled, seed: int = 0) -> Difference:
    """Compares the mean figures of two sets of runs on the same images.

    Each resample draws the images (once for both) and, on each side, as many runs as there are:
    the interval then holds the chance in the images and the chance in the training. With one run a
    side it holds the first alone. Few runs understate the chance in the training, two by about
    half: ask `welch` too. Percentile interval: Efron and Tibshirani, An Introduction to the
    Bootstrap (1993), chapter 13; p-value by inverting it, one added to both counts as in Davison
    and Hinkley (1997), section 4.2.

    Args:
        first: From `GroupBootstrap.share`.
        second: From the same bootstrap.
        seed: Of the draws of runs.
    """
    random = np.random.default_rng([seed, 1])
    drawn = _draw_runs(first.drawn, random) - _draw_runs(second.drawn, random)
    drawn = drawn[~np.isnan(drawn)]
    estimate = float(first.observed.mean() - second.observed.mean())
    if not len(drawn) or math.isnan(estimate):
        return Difference(math.nan, math.nan, math.nan, math.nan)
    low, high = np.quantile(drawn, [0.025, 0.975])
    # Sums of the same shares in another order differ in the last bits; that is no difference.
    tail = min((drawn <= 1e-12).sum(), (drawn >= -1e-12).sum())
    return Difference(
        estimate, float(low), float(high), min(1.0, float(2 * (tail + 1) / (len(drawn) + 1)))
    )


def swap_p(
    first: np.ndarray, second: np.ndarray, cell: np.ndarray, group: np.ndarray, seed: int = 0
) -> float:
    """Tests a difference in `GroupBootstrap.share` by swapping the two models' answers.

    If the models are equally good, who gave which answer to a group of images is a coin's throw.
    With few images that tell the models apart the bootstrap is too sure (four melanomas that one
    model alone finds give it p = 0.04, a fair coin 0.12); this test is not. Edgington and Onghena,
    Randomization Tests (2007). Two-sided, 2,000 throws for each group.

    Args:
        first: float (n,), share of the first model's runs that hit an image.
        second: float (n,), the second's.
        cell: int (n,), as in `GroupBootstrap.share`.
        group: (n,), images with equal values are swapped together.
        seed: Of the throws.

    Returns:
        The p-value, NaN where no cell has an image.
    """
    inside = cell >= 0
    if not inside.any():
        return math.nan
    size = np.bincount(cell[inside])
    weight = np.where(inside, 1 / (size[cell] * (size > 0).sum()), 0.0)
    names, member = np.unique(group, return_inverse=True)
    by_group = np.bincount(member, weight * (first - second), len(names))
    sign = np.random.default_rng([seed, 2]).choice([-1.0, 1.0], (RESAMPLES, len(names)))
    swapped = np.abs(sign @ by_group)
    as_far = int((swapped >= abs(by_group.sum()) - 1e-12).sum())
    return (as_far + 1) / (RESAMPLES + 1)


def welch(first: Sequence[float], second: Sequence[float]) -> Difference:
    """Compares the means of two sets of independent runs, their spread unequal.

    Resampling two or three runs understates how far apart runs lie; this does not. Welch,
    Biometrika 34 (1947) 28-35.

    Args:
        first: The figure of each run, at least 2.
        second: Likewise.
    """
    parts = [float(np.var(values, ddof=1)) / len(values) for values in (first, second)]
    mean, variance = float(np.mean(first) - np.mean(second)), sum(parts)
    if variance < 1e-24:
        return _certain(mean)
    freedom = variance**2 / sum(
        part**2 / (len(values) - 1) for part, values in zip(parts, (first, second), strict=True)
    )
    return _student(mean, math.sqrt(variance), freedom)


def corrected_resampled_t(differences: Sequence[float], test_to_train: float) -> Difference:
    """Tests whether the mean difference over folds is zero.

    Folds share most of their training images, so their differences are not independent and the
    plain t-test finds too much. The variance of the mean is s^2 (1/J + n_test/n_train) instead of
    s^2/J. Nadeau and Bengio, Inference for the Generalization Error, Machine Learning 52 (2003)
    239-281.

    Args:
        differences: One a fold, at least 2.
        test_to_train: Images that measured a fold over images that trained it; 1/4 for 5 folds.
    """
    values = np.asarray(differences, np.float64)
    mean, n = float(values.mean()), len(values)
    error = math.sqrt(float(values.var(ddof=1)) * (1 / n + test_to_train))
    return _certain(mean) if error < 1e-12 else _student(mean, error, n - 1)


def holm(p: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for their number: the chance of any false alarm stays at the level.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, k in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = highest
    return adjusted


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


def _certain(mean: float) -> Difference:
    """Returns a difference that does not vary."""
    return Difference(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)


def _mean_share(hits: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Returns (r,) from hits and sizes (r, cells), empty cells left out."""
    present = size > 0
    share = np.divide(hits, size, out=np.zeros(hits.shape), where=present)
    count = present.sum(axis=1)
    return np.where(count > 0, share.sum(axis=1) / np.maximum(count, 1), np.nan)


def _draw_runs(drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns for each resample the mean over as many runs as there are, drawn again."""
    picked = random.integers(0, drawn.shape[1], drawn.shape)
    return np.take_along_axis(drawn, picked, axis=1).mean(axis=1)

"""Paired tests of two models on the same images; pure functions of arrays."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from melanoma_exp.evaluation.metrics import interval
from melanoma_exp.evaluation.metrics.t_tests import Difference

RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True)
class McNemar:
    """Images that only one model gets right, and the two-sided p-value."""

    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Resampled:
    """A metric in resamples.

    Attributes:
        observed: float64 (runs,), of each run.
        drawn: float64 (resamples, runs), in each resample.
        groups: How many were resampled.
    """

    observed: np.ndarray
    drawn: np.ndarray
    groups: int


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Tests whether two models err equally often.

    Of the images that exactly one model gets right, each model is as likely to be the
    right one if they are equally good. The binomial p-value is exact for any number.
    McNemar, Psychometrika 12 (1947) 153-157; exact form: Fagerland, Lydersen and Laake, BMC
    Medical Research Methodology 13:91 (2013).

    Args:
        first: bool (n,), whether the first model is right.
        second: bool (n,), the same images under the second.
    """
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    return McNemar(b, c, float(binomtest(b, b + c).pvalue) if b + c else 1.0)


class GroupBootstrap:
    """Draws whole groups of images with replacement, the same draws for every model.

    Images of one lesion are not independent, so a group is drawn as a whole.
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
        return Resampled(np.array(observed), np.stack(drawn, axis=1), self._times.shape[1])

    def _by_group(self, value: np.ndarray, cell: np.ndarray, cells: int) -> np.ndarray:
        """Returns the sums of (n,) over each group and cell, (groups, cells)."""
        groups, counted = self._times.shape[1], cell >= 0
        index = self._member[counted] * cells + cell[counted]
        return np.bincount(index, value[counted], groups * cells).reshape(groups, cells)


def difference(first: Resampled, second: Resampled, seed: int = 0) -> Difference:
    """Compares the mean metrics of two sets of runs on the same images.

    Each resample draws the images (once for both) and, on each side, as many runs as there are:
    the interval then covers sampling and training noise. With one run a side it covers sampling
    noise alone. Few runs understate training noise, two by about half: see `t_tests.welch`.
    The interval is the one of other metrics, `interval.expanded_tail`; the p-value inverts it, one
    added to both counts as in Davison and Hinkley (1997), section 4.2.

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
    end = interval.expanded_tail(CONFIDENCE, first.groups)
    low, high = np.quantile(drawn, [end, 1 - end])
    # Sums of the same shares in another order differ in the last bits; that is no difference.
    tail = min((drawn <= 1e-12).sum(), (drawn >= -1e-12).sum())
    p = interval.expanded_p((tail + 1) / (len(drawn) + 1), first.groups)
    return Difference(estimate, float(low), float(high), p)


def swap_p(
    first: np.ndarray, second: np.ndarray, cell: np.ndarray, group: np.ndarray, seed: int = 0
) -> float:
    """Tests a difference in `GroupBootstrap.share` by swapping the two models' answers.

    If the models are equally good, their answers to a group of images are exchangeable. With few
    images on which the models differ the bootstrap is too sure (four melanomas that only one model
    detects give it p = 0.04, this test 0.12). Edgington and Onghena,
    Randomization Tests (2007). Two-sided, 2,000 random swaps of each group.

    Args:
        first: float (n,), share of the first model's runs that hit an image.
        second: float (n,), the second's.
        cell: int (n,), as in `GroupBootstrap.share`.
        group: (n,), images with equal values are swapped together.
        seed: Of the swaps.

    Returns:
        The p-value, NaN where no cell has an image.
    """
    weight = _weights(cell)
    if np.isnan(weight).all():
        return math.nan
    names, member = np.unique(group, return_inverse=True)
    by_group = np.bincount(member, weight * (first - second), len(names))
    sign = np.random.default_rng([seed, 2]).choice([-1.0, 1.0], (RESAMPLES, len(names)))
    swapped = np.abs(sign @ by_group)
    as_far = int((swapped >= abs(by_group.sum()) - 1e-12).sum())
    return (as_far + 1) / (RESAMPLES + 1)


def contributions(hit: np.ndarray, cell: np.ndarray, training: np.ndarray) -> np.ndarray:
    """Returns what each training adds to `GroupBootstrap.share`.

    Args:
        hit: bool (runs, n).
        cell: int (n,), as there.
        training: int (n,) from 0, which training of a run answered an image: all 0, or its fold.

    Returns:
        float64 (runs, trainings); a row's sum is the run's figure, NaN where no cell has an image.
    """
    weight = _weights(cell)
    trainings = int(training.max(initial=0)) + 1
    return np.stack([np.bincount(training, weight * run, trainings) for run in hit])


def holm(p: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for their number: the family-wise error rate stays at the level.

    Holm, Scandinavian Journal of Statistics 6 (1979) 65-70.
    """
    adjusted, highest = [0.0] * len(p), 0.0
    for rank, k in enumerate(np.argsort(p, kind="stable")):
        highest = max(highest, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = highest
    return adjusted


def _weights(cell: np.ndarray) -> np.ndarray:
    """Returns what a hit of each image adds to the share, (n,); NaN where no cell has an image."""
    inside = cell >= 0
    if not inside.any():
        return np.full(len(cell), np.nan)
    size = np.bincount(cell[inside])
    return np.where(inside, 1 / (size[cell] * (size > 0).sum()), 0.0)


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

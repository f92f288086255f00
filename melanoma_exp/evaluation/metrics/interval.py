"""Confidence intervals: score intervals for shares and their means, bootstrap by group for others.

Images of one lesion are not independent, so both count groups. A metric of the bootstrap is a
function of weights, one a group: ones give the estimate, the counts of a resample give the metric
of that resample. Many resamples are one matrix product.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.special import ndtr, ndtri, stdtr

from melanoma_exp.evaluation.metrics.score_intervals.proportions import (
    Shares,
    quantile,
    score_interval,
)
from melanoma_exp.system.randomness import Purpose, generator

Floats = NDArray[np.float64]
Metrics = Callable[[Floats], Mapping[str, Floats]]

CHUNK = 128  # resamples at a time, so that arrays fit the processor's cache
DEFINED = 0.8  # share of the resamples in which a metric must exist to have an interval


@dataclass(frozen=True)
class Estimate:
    """A metric, or one a class or row, with its interval; NaN where there is none.

    The three have one shape, () or (k,).
    """

    value: Floats
    low: Floats
    high: Floats

    def at(self, row: int) -> "Estimate":
        """Returns the metric of one class or row."""
        return Estimate(self.value[row], self.low[row], self.high[row])

    def turned(self) -> "Estimate":
        """Returns what is left to 1."""
        return Estimate(1 - self.value, 1 - self.high, 1 - self.low)

    def to_dict(self) -> dict[str, float | None]:
        """Returns value, low and high of a single metric, None for NaN."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {k: None if np.isnan(v) else float(v) for k, v in numbers.items()}


def stack(rows: Sequence[Estimate]) -> Estimate:
    """Returns single metrics as one column."""
    return Estimate(
        *(np.array([getattr(r, name) for r in rows]) for name in ("value", "low", "high"))
    )


class Bootstrap:
    """Resamples of the groups of a part, drawn once and used for every metric of the part.

    The interval is the expanded percentile interval (Hesterberg, What teachers should know about
    the bootstrap, The American Statistician 69, 2015) over resampled groups (Field and Welsh,
    Bootstrapping clustered data, JRSS B 69, 2007): its tails are those of Student's t, wider the
    fewer groups there are. Resamples in which a metric is undefined, for want of a class, are left
    out. A
    metric that is undefined in more than a fifth of them has no interval, nor has one that is the
    same in all: two or three lesions, all detected, do not prove perfection.
    """

    def __init__(self, group: NDArray[np.str_], resamples: int, seed: int, confidence: float):
        """Draws the resamples.

        Args:
            group: str (n,), n >= 1; rows of one group are drawn together.
            resamples: 1 or more.
            seed: 0 or more.
            confidence: Of the intervals, within (0, 1).
        """
        names, self.index = np.unique(group, return_inverse=True)
        self.groups, self.confidence = len(names), confidence
        random = generator(seed, Purpose.BOOTSTRAP)
        self._counts = np.empty((self.groups, resamples), np.uint16)
        for start in range(0, resamples, CHUNK):
            width = min(CHUNK, resamples - start)
            # Cell of (group, resample): one count over all gives the resamples side by side.
            cell = random.integers(0, self.groups, (self.groups, width)) * width + np.arange(width)
            counts = np.bincount(cell.ravel(), minlength=self.groups * width)
            self._counts[:, start : start + width] = counts.reshape(self.groups, width)

    def cells(
        self,
        cell: NDArray[np.integer],
        size: int,
        rows: NDArray | slice = slice(None),
        values: Floats | None = None,
    ) -> csr_array:
        """Returns what each group adds to each cell, a sparse float64 (size, groups).

        Args:
            cell: int (m,), the cell of each chosen row.
            size: How many cells there are.
            rows: Which m of the n rows, a mask or indices.
            values: float (m,), what a row adds; 1 each if left out.
        """
        group = self.index[rows]
        added = np.ones(len(group)) if values is None else np.asarray(values, np.float64)
        return csr_array((added, (cell, group)), shape=(size, self.groups))

    def estimate(self, metrics: Metrics) -> dict[str, Estimate]:
        """Returns metrics with their intervals.

        Args:
            metrics: From weights, float64 (groups, m), to named arrays (m,) or (k, m).
        """
        values = metrics(np.ones((self.groups, 1)))
        parts = [
            metrics(self._counts[:, start : start + CHUNK].astype(np.float64))
            for start in range(0, self._counts.shape[1], CHUNK)
        ]
        found = {}
        for name, value in values.items():
            drawn = np.concatenate([part[name] for part in parts], axis=-1)
            low, high = percentiles(drawn, self.confidence, self.groups)
            found[name] = Estimate(value[..., 0], low, high)
        return found

    def estimate_each(
        self, functions: Mapping[str, Callable[[Floats], Floats]]
    ) -> dict[str, Estimate]:
        """Returns single metrics with their intervals.

        Args:
            functions: By name, each from weights, float64 (groups, m), to values (m,).
        """
        return self.estimate(lambda w: {name: of(w) for name, of in functions.items()})

    def share(self, hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        """Returns the share of the rows `among` that are a `hit`, with Wilson's interval.

        Args:
            hit: bool (n,).
            among: bool (n,).
        """
        hits = np.bincount(self.index[hit & among], minlength=self.groups)
        totals = np.bincount(self.index[among], minlength=self.groups)
        return wilson(hits, totals, self.confidence)

    def mean_share(self, hit: NDArray[np.bool_], cell: NDArray[np.integer]) -> Estimate:
        """Returns the mean over cells of the share of hits, with its score interval.

        With the true class as cell this is balanced accuracy. Cells without rows are left out.

        Args:
            hit: bool (n,).
            cell: int (n,), 0 or more.
        """
        size = int(cell.max()) + 1
        rows = self.cells(cell, size).toarray()
        hits = self.cells(cell, size, values=hit.astype(np.float64)).toarray()
        present = rows.sum(axis=1) > 0
        shares = Shares(hits[present], rows[present])
        return Estimate(*np.array([shares.value.mean(), *shares.mean_interval(self.confidence)]))


def expanded_tail(confidence: float, groups: int) -> float:
    """Returns the share of resamples beyond each end of an expanded percentile interval.

    Resamples of n groups spread less than samples do, by (n - 1) / n of the variance, and their
    spread is itself estimated: the tail is that of the normal distribution beyond
    t sqrt(n / (n - 1)).

    Args:
        confidence: Within (0, 1).
        groups: n, 1 or more.
    """
    if groups < 2:
        return (1 - confidence) / 2
    t = quantile(confidence, groups - 1)
    return float(ndtr(-t * np.sqrt(groups / (groups - 1))))


def expanded_p(tail: float, groups: int) -> float:
    """Returns the two-sided p-value that belongs to `expanded_tail`: p < 1 - c where c excludes 0.

    Args:
        tail: Share of resamples beyond zero, above 0.
        groups: That were resampled.
    """
    if groups < 2:
        return min(1.0, 2 * tail)
    t = float(ndtri(min(tail, 0.5))) / np.sqrt(groups / (groups - 1))
    return float(2 * stdtr(groups - 1, t))


def percentiles(drawn: Floats, confidence: float, groups: int) -> tuple[Floats, Floats]:
    """Returns the central interval over the last axis, NaN where too few values are defined.

    Args:
        drawn: float64 (..., resamples), NaN where undefined.
        confidence: Within (0, 1).
        groups: That were resampled.
    """
    known = ~np.isnan(drawn)
    enough = known.mean(axis=-1) >= DEFINED
    filled = np.where(enough[..., None], drawn, 0.0)
    tail = expanded_tail(confidence, groups)
    tails = [tail, 1 - tail]
    if np.isnan(filled).any():
        low, high = np.nanquantile(filled, tails, axis=-1)
    else:
        low, high = np.quantile(filled, tails, axis=-1)
    defined = enough & (np.nanmax(filled, axis=-1) > np.nanmin(filled, axis=-1))
    return np.where(defined, low, np.nan), np.where(defined, high, np.nan)


def wilson(hits: NDArray, totals: NDArray, confidence: float) -> Estimate:
    """Returns a share with Wilson's score interval (Wilson, JASA 22, 1927) for grouped rows.

    Where rows share groups, their number is divided by the design effect, the variance of the
    share between groups over that of independent rows (Rao and Scott, Biometrics 48, 1992), where
    that is above 1, and the quantile is Student's, of groups less one, because that effect is an
    estimate. A share of 0 or 1 shows no variance: there a group counts as one row. With a row a
    group this is Wilson's interval itself.

    Args:
        hits: Counts (groups,), hits in each group.
        totals: Counts (groups,), rows in each group, 0 or more.
        confidence: Within (0, 1).
    """
    rows = float(totals.sum())
    if not rows:
        return Estimate(*np.full(3, np.nan))
    share = float(hits.sum()) / rows
    groups = int((totals > 0).sum())
    z = quantile(confidence, groups - 1 if rows > groups else None)
    if rows > groups and 0 < share < 1:
        between = float(((hits - share * totals) ** 2).sum())
        size = rows / max(1.0, between / (rows * share * (1 - share)))
    else:
        size = float(groups)
    one = np.ones(1)
    return Estimate(*np.array([share, *score_interval(share * one, size * one, one, z)]))

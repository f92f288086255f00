"""Score intervals of proportions and of means of proportions, for rows that share groups.

Wilson's interval (JASA 22, 1927) holds every value that a score test does not reject. That test
generalises to a weighted mean of proportions, as balanced accuracy is one of recalls: the variance
is the one at the proportions that are most likely under the tested mean (Miettinen and Nurminen,
Statistics in Medicine 4, 1985, for a difference of two). So a class of three images, all right,
is not taken for perfect, as a bootstrap takes it. benchmarks/intervals.py measures the coverage.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

Floats = NDArray[np.float64]

TILTS = np.geomspace(1e-3, 1e7, 64)
ROUNDING = 1e-18  # of a squared distance, where proportions of 0 and 1 have no variance
REFINED = 6  # times that the limit is looked for between two of so many tilts


def quantile(confidence: float, freedom: float | None) -> float:
    """Returns the upper quantile of a central interval: Student's, normal without freedom.

    Args:
        confidence: Within (0, 1).
        freedom: Degrees of freedom, at least 1; None where no variance was estimated.
    """
    tail = (1 + confidence) / 2
    return float(ndtri(tail) if freedom is None else stdtrit(max(freedom, 1.0), tail))


def score_interval(share: Floats, size: Floats, weight: Floats, z: float) -> tuple[float, float]:
    """Returns the score interval of a weighted mean of independent proportions.

    With one proportion it is Wilson's interval.

    Args:
        share: float64 (k,), 0 to 1.
        size: float64 (k,), effective number of rows of each, above 0.
        weight: float64 (k,), above 0, sum 1.
        z: Quantile.
    """
    mean = float(weight @ share)
    hits = share * size
    low = float(weight @ _limit(hits, size, weight, z, mean))
    high = 1 - float(weight @ _limit(size - hits, size, weight, z, 1 - mean))
    return max(0.0, min(low, mean)), min(1.0, max(high, mean))


def _limit(hits: Floats, size: Floats, weight: Floats, z: float, mean: float) -> Floats:
    """Returns the proportions (k,) of the lowest mean that the score test accepts."""
    hits, size, weight = hits[:, None], size[:, None], weight[:, None]
    tilts = TILTS
    for _ in range(1 + REFINED):
        found = _most_likely(hits, size, tilts * weight)
        distance = mean - (weight * found).sum(axis=0)
        variance = (weight**2 * found * (1 - found) / size).sum(axis=0)
        # The mean falls as the tilt rises; beyond the last accepted tilt nothing is accepted.
        accepted = np.flatnonzero(distance**2 <= z**2 * variance + ROUNDING)
        last = int(accepted[-1]) if len(accepted) else 0
        if last == len(tilts) - 1:
            break
        tilts = np.geomspace(tilts[last], tilts[last + 1], len(TILTS))
    limit: Floats = found[:, last]
    return limit


def _most_likely(hits: Floats, size: Floats, tilt: Floats) -> Floats:
    """Returns the p that maximise hits log p + (size - hits) log(1 - p) - tilt p, tilt above 0."""
    total = tilt + size
    found = 2 * hits / (total + np.sqrt(np.maximum(total**2 - 4 * tilt * hits, 0.0)))
    return np.minimum(found, 1.0)


def together(errors: Floats) -> float:
    """Returns the variance of a sum over that of independent terms, at least 1.

    Args:
        errors: float64 (k, groups), what each group adds to the error of each term.
    """
    apart = float((errors**2).sum())
    return max(1.0, float((errors.sum(axis=0) ** 2).sum()) / apart) if apart else 1.0


def effective_sizes(sums: Floats, rows: Floats, within: Floats) -> Floats:
    """Returns the effective number of rows of each of several means, (k,).

    Rows are divided by the design effect (Rao and Scott, Biometrics 48, 1992). One correlation
    within groups is estimated from all means, because three lesions tell little of theirs; it is
    between 0 and 1, and 1 where no mean varies, so that a group counts once.

    Args:
        sums: float64 (k, groups), of the values in each group.
        rows: float64 (k, groups), how many there are; each mean has some.
        within: float64 (k,), variance of a row, as if rows were independent, times rows.
    """
    count = rows.sum(axis=1)
    mean = sums.sum(axis=1) / count
    groups = (rows > 0).sum(axis=1)
    few = groups / np.maximum(groups - 1, 1)
    between = few * ((sums - mean[:, None] * rows) ** 2).sum(axis=1)
    together = (rows**2).sum(axis=1) / count  # rows of a group, as a row sees it
    spread, base = float(((together - 1) * within).sum()), float(within.sum())
    correlation = 1.0 if base == 0 else 0.0
    if spread > 0:
        correlation = float(np.clip((between.sum() - base) / spread, 0, 1))
    sizes: Floats = count / (1 + correlation * (together - 1))
    return sizes


@dataclass(frozen=True)
class Shares:
    """Proportions of rows that share groups, one a class.

    Attributes:
        hits: float64 (k, groups), hits of each class in each group.
        rows: float64 (k, groups), rows of each class in each group; every class has some.
    """

    hits: Floats
    rows: Floats

    @property
    def value(self) -> Floats:
        """Each proportion, (k,)."""
        return self.hits.sum(axis=1) / self.rows.sum(axis=1)

    def sizes(self) -> Floats:
        """Returns the effective number of rows of each proportion, (k,)."""
        share = self.value
        return effective_sizes(self.hits, self.rows, self.rows.sum(axis=1) * share * (1 - share))

    def mean_interval(self, confidence: float) -> tuple[float, float]:
        """Returns the interval of the mean proportion.

        Student's quantile has as many degrees of freedom as there are groups less classes.
        """
        count = len(self.rows)
        groups = int((self.rows.sum(axis=0) > 0).sum())
        weight = np.full(count, 1 / count)
        z = quantile(confidence, groups - count)
        return score_interval(self.value, self.sizes(), weight, z)

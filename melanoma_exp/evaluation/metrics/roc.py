"""ROC and precision-recall metrics for many weightings of the images at once, and AUCs.

Such a metric changes only at the scores of positive images, so the others are merely counted
between them.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Floats

TINY = 1e-9  # rounding allowed where a count is compared with a share of a total


class Ranking:
    """Images ordered by a score.

    Attributes:
        thresholds: float64 (k,), the distinct scores of positive images, ascending.
        below: float64 (k,), the next lower score of any image below each threshold, -inf without.
    """

    def __init__(
        self,
        positive: NDArray[np.bool_],
        score: Floats,
        bootstrap: Bootstrap,
        rows: NDArray | slice = slice(None),
    ) -> None:
        """Orders the images.

        Args:
            positive: bool (m,).
            score: float (m,), finite, high for positive.
            bootstrap: Of the n rows these come from.
            rows: Which m of the n rows.
        """
        row = np.arange(len(bootstrap.index))[rows]
        self.thresholds = np.unique(score[positive])
        count = len(self.thresholds)
        every = np.concatenate([[-np.inf], np.unique(score)])
        self.below = every[np.searchsorted(every, self.thresholds) - 1]
        index = np.searchsorted(self.thresholds, score[positive])
        self._positive = bootstrap.cells(index, count, row[positive])
        # Cell 2j lies between threshold j-1 and j, cell 2j+1 on threshold j.
        others = score[~positive]
        cell = np.searchsorted(self.thresholds, others, "left") + np.searchsorted(
            self.thresholds, others, "right"
        )
        self._others = bootstrap.cells(cell, 2 * count + 1, row[~positive])

    @property
    def defined(self) -> bool:
        """Whether there are positive and other images."""
        return bool(self._positive.nnz and self._others.nnz)

    def placements(self) -> tuple["Placed", "Placed"]:
        """Returns how positive and how other images are placed among those of the other side."""
        curve = self.curve(np.ones((self._positive.shape[1], 1)))
        above = np.append(curve.found[:, 0], 0.0)
        of_others = np.empty(2 * len(above) - 1)
        of_others[::2], of_others[1::2] = above, (above[:-1] + above[1:]) / 2
        beaten = curve.others - curve.false[:, 0] + curve.tied[:, 0] / 2
        return (
            Placed(beaten / curve.others, self._positive.toarray()),
            Placed(of_others / curve.positives, self._others.toarray()),
        )

    def precisions(self) -> "Placed":
        """Returns the positive images by the precision of an alert that reaches down to them."""
        curve = self.curve(np.ones((self._positive.shape[1], 1)))
        found = curve.found[:, 0]
        return Placed(found / (found + curve.false[:, 0]), self._positive.toarray())

    def curve(self, weights: Floats) -> "Curve":
        """Returns the curve for each column of weights, float64 (groups, m)."""
        hits = self._positive @ weights
        others = self._others @ weights
        return Curve(hits, _from_above(hits), others[1::2], _from_above(others))


@dataclass(frozen=True)
class Placed:
    """The images of one side by their place among those of the other.

    Attributes:
        share: float64 (cells,), share of the other side's images that are on the right side of an
            image in the cell, those of the same score counted half; or the precision there.
        count: float64 (cells, groups), images of each group in each cell.
    """

    share: Floats
    count: Floats


@dataclass(frozen=True)
class Curve:
    """The ROC curve at each threshold (row) for each weighting (column), as weights.

    Attributes:
        hits: (k, m), positives at the threshold.
        found: (k, m), positives at or above it.
        tied: (k, m), others at it.
        passed: (2k + 1, m), others at or above: each gap and threshold in turn.
    """

    hits: Floats
    found: Floats
    tied: Floats
    passed: Floats

    @property
    def positives(self) -> Floats:
        """All positives, (m,)."""
        empty: Floats = np.zeros(self.passed.shape[1])
        return self.found[0] if len(self.found) else empty

    @property
    def others(self) -> Floats:
        """All others, (m,)."""
        total: Floats = self.passed[0]
        return total

    @property
    def false(self) -> Floats:
        """Others at or above each threshold, (k, m)."""
        count: Floats = self.passed[1::2]
        return count

    def auc(self) -> Floats:
        """Returns the area under the ROC curve, ties counted half (Hanley and McNeil, 1982)."""
        # Others below or, by half, at each threshold; the total is taken out of the sum.
        above = np.einsum("km,km->m", self.hits, self.false - 0.5 * self.tied)
        return 1 - _ratio(above, self.positives * self.others)

    def average_precision(self) -> Floats:
        """Returns the sum of precision over steps of recall, without interpolation."""
        precision = _ratio(self.found, self.found + self.false, otherwise=0.0)
        area = np.einsum("km,km->m", self.hits, precision)
        found = _ratio(area, self.positives)
        return np.where(self.others > 0, found, np.nan)

    def sensitivity_at(self, specificity: float) -> Floats:
        """Returns the highest sensitivity of a threshold with at least this specificity."""
        allowed = self.false <= (1 - specificity) * self.others + TINY
        best = np.where(allowed, self.found, 0.0).max(axis=0, initial=0.0)
        return np.where(self.others > 0, _ratio(best, self.positives), np.nan)

    def band(self, steps: int) -> Floats:
        """Returns `sensitivity_at` for false positive rates 0, 1/steps, ..., 1: (steps + 1, m)."""
        count, width = self.false.shape
        rate = _ratio(self.false, self.others, otherwise=0.0)
        step = np.ceil(rate * steps - TINY).astype(np.int64)
        cell = (step * width + np.arange(width)).ravel()
        allowed = np.bincount(cell, minlength=(steps + 1) * width).reshape(steps + 1, width)
        # A higher threshold lets fewer pass: those allowed are the last rows.
        row = count - np.cumsum(allowed, axis=0)
        ends = np.concatenate([self.found, np.zeros((1, width))])
        found = _ratio(np.take_along_axis(ends, row, axis=0), self.positives)
        return np.where(self.others > 0, found, np.nan)

    def reaching(self, sensitivity: float) -> NDArray[np.intp]:
        """Returns the row of the highest threshold with at least this sensitivity, (m,)."""
        enough = self.found >= sensitivity * self.positives - TINY
        return enough.sum(axis=0) - 1

    def specificity_at(self, sensitivity: float) -> Floats:
        """Returns the highest specificity of a threshold with at least this sensitivity."""
        if not len(self.found):
            return np.full(self.others.shape, np.nan)
        row = self.reaching(sensitivity)
        passed = np.take_along_axis(self.false, row[None], axis=0)[0]
        return np.where(self.positives > 0, 1 - _ratio(passed, self.others), np.nan)

    def partial_auc(self, above: float) -> Floats:
        """Returns the area between the ROC curve and the sensitivity `above`.

        The normalisation is that of the ISIC 2024 challenge: the plain area, from 0 to 1 - above;
        a random score has (1 - above)^2 / 2.
        """
        end = _ratio(self.found, self.positives)
        start = np.concatenate([end[1:], np.zeros_like(end[:1])])
        right = _ratio(self.false, self.others)
        left = _ratio(self.passed[2::2], self.others)
        length = np.clip(end - np.maximum(start, above), 0, None)
        # Of the step's straight line only the upper piece counts: specificity at its middle.
        middle = 1 - _ratio(length, end - start, otherwise=0.0) / 2
        area: Floats = (length * (1 - left - (right - left) * middle)).sum(axis=0)
        return np.where((self.positives > 0) & (self.others > 0), area, np.nan)


def _from_above(counts: Floats) -> Floats:
    """Returns the sums from each row to the last."""
    summed: Floats = np.cumsum(counts[::-1], axis=0)[::-1]
    return summed


def _ratio(part: Floats, whole: Floats, otherwise: float = np.nan) -> Floats:
    part, whole = np.broadcast_arrays(part, whole)
    result = np.full(part.shape, otherwise)
    np.divide(part, whole, out=result, where=whole > 0)
    return result

"""The difference of two models' mean proportions on the same images, where few images differ.

Where two models answer all of a few images alike, a bootstrap finds no difference in any resample,
and takes it for certain that there is none. So two more images are counted, of which each model
gets one right alone (Bonett and Price, Journal of Educational and Behavioral Statistics 37, 2012).
benchmarks/paired_intervals.py measures how often the interval holds.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtr

from melanoma_exp.evaluation.metrics.score_intervals.proportions import effective_sizes, quantile
from melanoma_exp.evaluation.metrics.t_tests import Difference


def difference(
    gain: NDArray[np.float64],
    cell: NDArray[np.integer],
    group: NDArray,
    confidence: float,
) -> Difference:
    """Returns the mean over cells of the mean gain, with an interval and its p-value.

    The images that are added are shared out over the cells. Rows that share groups are divided by
    the design effect (`proportions.effective_sizes`). The quantile is Student's, of groups less
    cells; the normal one with one cell and one row a group, where no correlation is estimated.

    Args:
        gain: float64 (n,), -1 to 1: the share of the first model's runs that hit an image, less
            the second's.
        cell: int (n,), the class of an image; those with -1 count nowhere.
        group: (n,), images with equal values belong together.
        confidence: Of the interval, within (0, 1).

    Returns:
        NaN where no cell has an image.
    """
    counted = cell >= 0
    if not counted.any():
        return Difference(math.nan, math.nan, math.nan, math.nan)
    _, member = np.unique(group[counted], return_inverse=True)
    _, of_cell = np.unique(cell[counted], return_inverse=True)
    cells, groups = int(of_cell.max()) + 1, int(member.max()) + 1
    place = of_cell * groups + member

    def by_group(value: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(place, value, cells * groups)
        return sums.astype(np.float64).reshape(cells, groups)

    each = gain[counted].astype(np.float64)
    gains, squares, rows = by_group(each), by_group(each**2), by_group(np.ones_like(each))
    count = rows.sum(axis=1)
    mean, square = gains.sum(axis=1) / count, squares.sum(axis=1) / count
    size = effective_sizes(gains, rows, count * np.maximum(square - mean**2, 0))
    added = 2 / cells
    total = size + added
    shifted = mean * size / total
    variance = ((square * size + added) / total - shifted**2) / total
    deviation = math.sqrt(float(variance.sum())) / cells
    alone = cells == 1 and groups == len(each)
    freedom = None if alone else max(float(groups - cells), 1.0)
    estimate, centre = float(mean.mean()), float(shifted.mean())
    half = quantile(confidence, freedom) * deviation
    low = max(-1.0, min(centre - half, estimate))
    high = min(1.0, max(centre + half, estimate))
    far = -abs(centre) / deviation
    p = 2 * float(ndtr(far) if freedom is None else stdtr(freedom, far))
    return Difference(estimate, low, high, p)

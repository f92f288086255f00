"""Images that stand far out of their set in colour, size or sharpness.

Far is measured by the median and the median absolute deviation, which outliers hardly move:
z = (x - median) / (1.4826 MAD). Iglewicz & Hoaglin, How to Detect and Handle Outliers (1993),
advise the limit 3.5 for this z.
"""

from collections.abc import Iterator

import numpy as np

from melanoma_exp.data.duplicates.fingerprints import Fingerprints

LIMIT = 3.5
FEWEST = 20  # images below which nothing can stand out
COLOUR_FLOOR, SHARPNESS_FLOOR = 1.0, 0.02  # least deviations: a set of equals has no outliers
COLOUR_RULE = "mean lightness, red or yellow more than 3.5 robust deviations from the median"
SIZE_RULE = "a quarter or four times the median number of pixels, or another shape by half"
SHARPNESS_RULE = "fine detail by contrast more than 3.5 robust deviations from the median, or none"


def find(rows: np.ndarray, fingerprints: Fingerprints) -> Iterator[tuple[str, str, int, str]]:
    """Yields kind, detail, row and note of every outlier.

    Args:
        rows: The readable rows.
        fingerprints: What the files show.
    """
    if len(rows) < FEWEST:
        return
    colour = fingerprints.colours[rows]
    z = _robust(colour, COLOUR_FLOOR)
    words = (("darker", "lighter"), ("greener", "redder"), ("bluer", "yellower"))
    for k in np.flatnonzero(np.abs(z).max(axis=1) > LIMIT):
        axis = int(np.abs(z[k]).argmax())
        yield "colour", words[axis][int(z[k, axis] > 0)], int(rows[k]), f"z {z[k, axis]:+.1f}"
    yield from _sizes(rows, fingerprints.sizes[rows])
    sharp = fingerprints.sharpness[rows]
    for k in np.flatnonzero(np.isnan(sharp)):
        yield "sharpness", "blank", int(rows[k]), ""
    z = _robust(sharp, SHARPNESS_FLOOR)
    for k in np.flatnonzero(np.abs(z) > LIMIT):
        yield "sharpness", "noisier" if z[k] > 0 else "blurred", int(rows[k]), f"z {z[k]:+.1f}"


def _sizes(rows: np.ndarray, sizes: np.ndarray) -> Iterator[tuple[str, str, int, str]]:
    area, shape = sizes.prod(axis=1), sizes[:, 1] / sizes[:, 0]
    larger, wider = area / np.median(area), shape / np.median(shape)
    for words, ratio, limit in ((("small", "large"), larger, 4.0), (("tall", "wide"), wider, 1.5)):
        for k in np.flatnonzero((ratio >= limit) | (ratio <= 1 / limit)):
            note = f"{sizes[k, 0]}x{sizes[k, 1]} pixels"
            yield "size", words[int(ratio[k] > 1)], int(rows[k]), note


def _robust(values: np.ndarray, floor: float) -> np.ndarray:
    """Returns z of each column; NaN where the value is."""
    if np.isnan(values).all():
        return values
    median = np.nanmedian(values, axis=0)
    deviation = 1.4826 * np.nanmedian(np.abs(values - median), axis=0)
    return (values - median) / np.maximum(deviation, floor)

"""Marker pen: strongly blue, violet or green places away from the centre.

Lesions can be blue, too, and whole pictures can have a cast: a place counts where it is far from
the colour of the picture, and outside the middle, where the lesion is.
"""

import numpy as np

OUTSIDE = 0.72  # of the way from the centre to a side
BLUE, FROM_BLUE = -18.0, 24.0  # CIE b of ink at most, and below that of the picture
GREEN, FROM_GREEN = -14.0, 22.0  # CIE a, likewise
LIGHTEST_BLACK = 25.0  # lightness from which a pixel tells the picture's colour


def share(lab: np.ndarray) -> float:
    """Returns the share of a picture that looks like marker pen.

    Args:
        lab: float32 (height, width, 3), CIE L, a and b.
    """
    import cv2

    smooth = cv2.GaussianBlur(lab, (3, 3), 0)
    lightness, a, b = cv2.split(smooth)
    some = smooth[::4, ::4].reshape(-1, 3)
    some = some[some[:, 0] > LIGHTEST_BLACK]
    if not len(some):
        return 0.0
    _, red, yellow = np.median(some, axis=0)
    blue = (b < BLUE) & (b < yellow - FROM_BLUE) & (a < -0.9 * b) & (lightness > 8)
    green = (a < GREEN) & (a < red - FROM_GREEN) & (lightness > 15)
    pen = cv2.morphologyEx((blue | green).astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2)))
    height, width = pen.shape
    x, y = np.linspace(-1, 1, width), np.linspace(-1, 1, height)
    outside = x[None] ** 2 + y[:, None] ** 2 > OUTSIDE**2
    return float((pen.astype(bool) & outside).mean())

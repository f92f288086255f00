"""Pictures that show no skin: screens, pages, drawings, grey pictures, one colour, other things.

Some are so by themselves, whatever the set: pixels that equal their neighbours, no colour at all,
or green. Others only differ from the rest of the set, by the Mahalanobis distance of their look
under the median, the median absolute deviation and a covariance of clipped deviations, which
off-topic pictures in the set hardly move.
"""

import numpy as np

ONE_COLOUR = 1.2  # deviation of lightness; of 6,476 dermoscopic images none has less than 2
GREY = 3.0  # the 90th percentile of chroma; none has less than 4.3
FLAT = 0.35  # share of pixels that equal all their neighbours; none has more than .29
GREEN = 0.05  # share of strongly green pixels; none has more than .001
ONE_SHADE, LINES = 2.5, 5.0  # deviation of chroma and mean edge of paper with print; none has both
FAR = 9.0  # Mahalanobis distance
UNLIKE = "unlike the other images"
FEWEST = 20  # images below which nothing differs from the rest
CLIP = 4.0  # robust deviations
SMALLEST = np.array([3, 2, 2, 0.1, 0.1, 0.1, 0.1, 0.05, 0.1])  # least deviations of the look
THUMBNAIL = 12  # pixels of a side, at which coarse changes are measured


def measure(rgb: np.ndarray, lab: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the rules for any set go by, and how a picture looks beside others.

    Args:
        rgb: uint8 (height, width, 3), at the working size.
        lab: float32 (height, width, 3), the same in CIE L, a and b.

    Returns:
        float32 (4,): deviation of lightness, 90th percentile of chroma, flat and green shares; and
        float32 (9,): mean lightness, a and b; logarithms of the deviation of lightness, that of
        chroma, edges and coarse changes; root of the spread of hue; logarithm of the deviation
        along the border.
    """
    import cv2

    lightness, a, b = cv2.split(lab)
    chroma, hue = cv2.cartToPolar(a, b, angleInDegrees=True)
    square = np.ones((3, 3), np.uint8)
    flat = (cv2.dilate(rgb, square) == cv2.erode(rgb, square)).all(axis=-1).mean()
    green = ((chroma > 20) & (hue > 112) & (hue < 210)).mean()
    edges = np.abs(cv2.Laplacian(lightness, cv2.CV_32F)).mean()
    small = cv2.resize(lab, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    coarse = np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()
    # The mean hue, each pixel weighted by its chroma: as long as all if there is but one hue.
    coloured = (lightness > 15) & (chroma > 6)
    centre = np.hypot(a[coloured].sum(), b[coloured].sum()) / max(chroma[coloured].sum(), 1e-6)
    border = np.concatenate([small[0], small[-1], small[1:-1, 0], small[1:-1, -1]])
    light = border[border[:, 0] > 25]
    uneven = light.std(axis=0).mean() if len(light) > 4 else 0.0
    deviation = lightness.std()
    logarithms = np.log([deviation + 0.5, chroma.std() + 0.5, edges + 0.1, coarse + 0.2])
    spread = np.sqrt(max(1 - float(centre), 0) + 0.01)
    means = lab.mean(axis=(0, 1))
    plain = [deviation, np.percentile(chroma[::2, ::2], 90), flat, green]
    return np.array(plain, np.float32), np.array(
        [*means, *logarithms, spread, np.log(uneven + 0.5)], np.float32
    )


def which(plain_: np.ndarray, look_: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns why each picture is off topic, "" where it is not, and its distance from the set.

    Args:
        plain_: float32 (n, 4), as `measure` gives it.
        look_: float32 (n, 9), as `measure` gives it.
    """
    why = np.full(len(plain_), "", dtype="U40")
    distance = far(look_)
    why[distance > FAR] = UNLIKE
    why[plain_[:, 3] > GREEN] = "green"
    even, edges = np.exp(look_[:, 4]) - 0.5, np.exp(look_[:, 5]) - 0.1
    why[(plain_[:, 2] > FLAT) | ((even < ONE_SHADE) & (edges > LINES))] = (
        "a drawing, a screen or a page"
    )
    why[plain_[:, 1] < GREY] = "grey"
    why[plain_[:, 0] < ONE_COLOUR] = "one colour"
    return why, distance


def far(look_: np.ndarray) -> np.ndarray:
    """Returns the Mahalanobis distance of each look from the set's, 0 in a set of few images."""
    if len(look_) < FEWEST:
        return np.zeros(len(look_))
    values = look_.astype(np.float64)
    median = np.median(values, axis=0)
    deviation = 1.4826 * np.median(np.abs(values - median), axis=0)
    z = (values - median) / np.maximum(deviation, SMALLEST)
    # A few images do not tell a covariance: it starts as if 20 had been uncorrelated.
    n, size = z.shape
    clipped = np.clip(z, -CLIP, CLIP)
    covariance = (clipped.T @ clipped + FEWEST * np.eye(size)) / (n + FEWEST)
    inverse = np.linalg.inv(covariance + 0.1 * np.eye(size))
    return np.sqrt(np.einsum("ij,jk,ik->i", z, inverse, z))

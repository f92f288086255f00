"""Dark corners and frames: what a dermatoscope, a scanner or a program leaves around a picture."""

import numpy as np

CORNER = 0.1  # of the way from a corner to the centre: where the corner is measured
BESIDE = (0.28, 0.72)  # of that way: where the picture is, of which the lightest counts
EVEN = 1.5  # largest deviation of lightness along a row of a frame
DARKEST, LIGHTEST = 12.0, 95.0  # lightness of frames; others are frames if no pixel differs
JUMP = 15.0  # least change of lightness where a frame ends
SMALLEST = 32  # pixels of a side within a frame
EDGE = 3  # rows over which resampling may blur it


def corners(lightness: np.ndarray) -> np.ndarray:
    """Returns how dark each corner is against the picture on the way from it to the centre.

    A lesion that reaches a corner is as dark beside it; a field stop or a fall-off of light is not.

    Args:
        lightness: float32 (height, width), CIE lightness from 0 to 100.

    Returns:
        float32 (4,), 1 for a corner as light as the picture, 0 for a black one.
    """
    import cv2

    height, width = lightness.shape
    smooth = cv2.blur(lightness, (5, 5))
    way = np.linspace(0, 1, 100)
    found = []
    for down in (False, True):
        for right in (False, True):
            y, x = (1 - way / 2 if side else way / 2 for side in (down, right))
            rows = np.rint(y * (height - 1)).astype(int)
            along = smooth[rows, np.rint(x * (width - 1)).astype(int)]
            beside = along[(way >= BESIDE[0]) & (way <= BESIDE[1])].max()
            # Beside black no corner is dark.
            found.append(along[way <= CORNER].mean() / beside if beside > DARKEST else 1.0)
    return np.minimum(np.array(found, np.float32), 1)


def frame(lightness: np.ndarray) -> np.ndarray:
    """Returns how wide an even bar lies along each side, as a share of the picture.

    Args:
        lightness: float32 (height, width), CIE lightness from 0 to 100.

    Returns:
        float32 (4,), of top, bottom, left and right.
    """
    sides = (lightness, lightness[::-1], lightness.T, lightness.T[::-1])
    return np.array([_bar(side) / len(side) for side in sides], np.float32)


def within(lightness: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """Returns the picture inside its frame; a bar is no dark corner.

    Args:
        lightness: float32 (height, width).
        frame: float32 (4,), as `frame` gives it.
    """
    height, width = lightness.shape
    top, bottom, left, right = np.rint(frame * (height, height, width, width)).astype(int)
    inside: np.ndarray = lightness[top : height - bottom, left : width - right]
    return inside if min(inside.shape) >= SMALLEST else lightness


def _bar(rows: np.ndarray) -> int:
    """Returns how many rows from the first are even and alike, before a jump."""
    means, deviations = rows.mean(axis=1), rows.std(axis=1)
    if DARKEST < means[0] < LIGHTEST and deviations[0] > 0:
        return 0
    alike = (deviations < EVEN) & (np.abs(means - means[0]) < EVEN)
    wide = len(rows) if alike.all() else int(np.argmin(alike))
    beyond = means[wide : wide + EDGE]
    ends = len(beyond) > 0 and np.abs(beyond - means[0]).max() >= JUMP
    return wide if ends else 0

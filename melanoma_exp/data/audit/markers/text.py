"""Burnt-in text: marks of one height and colour, side by side on a line.

Nothing is read: characters are places that stand out from what is around them, as high as each
other, on one line, with small gaps. Hairs and pores are neither of one height nor on a line. In a
small picture coloured characters run into each other: a slim bar of a strong colour near the upper
or lower side is taken for them where little else is of such a colour.
"""

import numpy as np

AROUND = 15  # pixels: what is narrower than that can be a stroke
TINTED = 31  # pixels of a square whose mean colour is the background's
LIMITS = (26, 26, 20)  # least contrast: lighter, darker, of another colour; of 255
OF_CLEAREST = 0.45  # of the clearest marks' contrast
HEIGHT = (5, 48)  # pixels of a character
FEWEST = 4  # characters of a line
MOST = 250  # marks; more are hair or texture
WIDTH = 0.3  # of a character by its height, in the mean; ticks of a ruler are slimmer
STRONG, PARTS = 25, 3  # distance from the colour around it; parts of a picture that are so far
OUTSIDE = 0.6  # of the way from the middle to the upper or lower side
RIVALS = 0.15  # characters of the line by all marks as clear, at least


def characters(rgb: np.ndarray) -> int:
    """Returns the number of characters of the longest line, 0 where there is no text.

    Args:
        rgb: uint8 (height, width, 3), at the fine working size.
    """
    import cv2

    lab = cv2.cvtColor(rgb, cv2.COLOR_RGB2Lab)
    lightness = np.ascontiguousarray(lab[..., 0])
    square = np.ones((AROUND, AROUND), np.uint8)
    red, yellow = (cv2.absdiff(p, cv2.blur(p, (TINTED, TINTED))) for p in cv2.split(lab)[1:])
    planes = (
        cv2.morphologyEx(lightness, cv2.MORPH_TOPHAT, square),
        cv2.morphologyEx(lightness, cv2.MORPH_BLACKHAT, square),
        cv2.add(red, yellow),
    )
    lines = [_longest(p, limit, lab) for p, limit in zip(planes, LIMITS, strict=True)]
    return max(*lines, _blurred(planes[2]))


def _longest(clear: np.ndarray, least: int, lab: np.ndarray) -> int:
    """Returns the number of marks of the longest line of characters."""
    import cv2

    limit = max(least, OF_CLEAREST * float(np.percentile(clear[::2, ::2], 99.7)))
    number, marks, boxes, _ = cv2.connectedComponentsWithStats((clear >= limit).astype(np.uint8))
    _, _, width, height, area = boxes.T
    fits = (height >= HEIGHT[0]) & (height <= HEIGHT[1]) & (area >= 5)
    fits &= (width <= 1.4 * height) & (width >= 0.1 * height) & (area >= 0.12 * width * height)
    fits[0] = False  # the background
    some = np.flatnonzero(fits)
    if not FEWEST <= len(some) <= MOST:
        return 0
    x, y, width, height, area = boxes[some].T.astype(float)
    place = marks.ravel()
    contrast = np.bincount(place, clear.ravel(), number)[some] / area
    foot = y + height
    # Small letters are some .7 as high as capitals, and both stand on the line.
    like = np.abs(foot[None] - foot[:, None]) <= 0.16 * height[:, None] + 1
    like &= (height[None] <= 1.12 * height[:, None] + 1) & (height[None] >= 0.6 * height[:, None])
    like &= (contrast[None] >= 0.6 * contrast[:, None]) & (
        contrast[None] <= 1.6 * contrast[:, None]
    )
    lines = np.flatnonzero(like.sum(axis=1) >= FEWEST)
    if not len(lines):
        return 0
    channels = [np.bincount(place, lab[..., c].ravel(), number)[some] / area for c in range(3)]
    colour = np.stack(channels, axis=1)
    best = 0
    for k in lines:
        line = np.flatnonzero(like[k] & (np.abs(colour - colour[k]).max(axis=1) <= 28))
        line = line[np.argsort(x[line], kind="stable")]
        gaps = x[line][1:] - (x + width)[line][:-1]
        for part in np.split(line, np.flatnonzero(gaps > 1.1 * height[k]) + 1):
            if k not in part or len(part) < FEWEST:
                continue
            if width[part].mean() < WIDTH * height[part].mean():
                continue
            if len(part) >= RIVALS * (contrast >= 0.6 * contrast[part].mean()).sum():
                best = max(best, len(part))
    return best


def _blurred(tint: np.ndarray) -> int:
    """Returns about how many characters a bar of a strong colour holds, 0 where there is none."""
    import cv2

    gaps = np.ones((3, AROUND), np.uint8)
    strong = cv2.morphologyEx((tint >= STRONG).astype(np.uint8), cv2.MORPH_CLOSE, gaps)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(strong)
    if len(boxes) - 1 > PARTS:
        return 0
    _, y, width, height, area = boxes[1:].T
    away = np.abs((y + height / 2) / len(tint) * 2 - 1) > OUTSIDE
    bar = away & (width >= 1.7 * height) & (height >= 5) & (height <= 30)
    bar &= area >= 0.6 * width * height
    long = (width / height)[bar].max(initial=0.0)
    return max(FEWEST, round(float(long) / 0.7)) if long else 0

"""Rulers: short dark strokes side by side, at equal distances or at the border.

Mostly a few ticks of a ruler show at one side of a picture. Stubble and skin lines are strokes
too, but there are many of them: what stands out is dark, parallel and has few rivals.
"""

from collections.abc import Iterator

import numpy as np

BLACK_HAT = 9  # pixels of a square: what is narrower and darker than its surroundings stays
CONTRAST, OF_DARKEST = 14.0, 0.35  # grey levels below the surroundings, and of the darkest strokes
AREA, LENGTH, THICK, SLIM = (4, 140), (4, 32), 4.5, 2.0  # of a stroke in pixels; length by width
MOST = 100  # strokes that are compared, the darkest
SPACING = (4.0, 45.0)  # pixels between neighbours
FEWEST = 3  # ticks of a ruler
CERTAIN = 6  # ticks in equal steps that need no more evidence
DARK = 25.0  # mean contrast of fewer ticks
RIVAL = 0.6  # of their contrast, from which a stroke is a rival
BORDER = 0.15  # of the side, within which three ticks must lie
AXES, TURN = 18, 10.0  # directions tried over 180 degrees; degrees between strokes of one ruler
STEPS = 12  # of one ruler that are counted


def ticks(grey: np.ndarray) -> int:
    """Returns the number of ticks of the clearest ruler, 0 where there is none.

    Args:
        grey: uint8 (height, width), at the working size.
    """
    strokes = _strokes(grey)
    return max(_in_steps(strokes, grey.shape), _at_border(strokes, grey.shape))


def _strokes(grey: np.ndarray) -> np.ndarray:
    """Returns x, y, direction in degrees, length and contrast of the darkest strokes, (n, 5)."""
    import cv2

    dark = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, np.ones((BLACK_HAT, BLACK_HAT), np.uint8))
    limit = max(CONTRAST, OF_DARKEST * float(np.percentile(dark[::2, ::2], 99.5)))
    _, marks, boxes, centres = cv2.connectedComponentsWithStats((dark >= limit).astype(np.uint8))
    longer = boxes[:, 2:4].max(axis=1)
    fits = (longer >= LENGTH[0]) & (longer <= LENGTH[1])
    fits &= (boxes[:, 4] >= AREA[0]) & (boxes[:, 4] <= AREA[1])
    fits[0] = False  # the background
    found = []
    for k in np.flatnonzero(fits):
        x, y, width, height, _ = boxes[k]
        part = marks[y : y + height, x : x + width] == k
        down, right = np.nonzero(part)
        across, along = right + x - centres[k, 0], down + y - centres[k, 1]
        a, b, c = (across**2).mean(), (across * along).mean(), (along**2).mean()
        # Axes of the ellipse of the same moments; a pixel itself has 1/12.
        root = np.sqrt((a - c) ** 2 / 4 + b * b)
        length, thick = np.sqrt(12 * np.array([(a + c) / 2 + root, (a + c) / 2 - root]) + 1)
        if length >= SLIM * thick and thick <= THICK:
            turn = np.degrees(np.arctan2(2 * b, a - c)) / 2 % 180
            contrast = dark[y : y + height, x : x + width][part].mean()
            found.append((*centres[k], turn, length, contrast))
    table = np.array(found).reshape(-1, 5)
    return table[np.argsort(-table[:, 4], kind="stable")[:MOST]]


def _in_steps(strokes: np.ndarray, shape: tuple[int, ...]) -> int:
    """Returns the number of parallel strokes at equal distances along a line."""
    best, clearest = 0, strokes[:0]
    for axis in np.arange(AXES) * 180 / AXES:
        some = strokes[_between(strokes[:, 2], axis) <= TURN]
        for run in _runs(some, axis) if len(some) >= FEWEST else ():
            rank = (len(run), run[:, 4].mean())
            if rank > (best, clearest[:, 4].mean() if best else 0.0):
                best, clearest = len(run), run
    if best < FEWEST or best >= CERTAIN:
        return best if best >= CERTAIN else 0
    contrast = clearest[:, 4]
    even = contrast.mean() >= DARK and contrast.std() < 0.25 * contrast.mean()
    few = (strokes[:, 4] >= RIVAL * contrast.mean()).sum() <= 3 * best + 1
    border = _from_border(clearest, shape).max() <= BORDER * max(shape)
    return best if even and few and (border or best > FEWEST) else 0


def _runs(strokes: np.ndarray, axis: float) -> Iterator[np.ndarray]:
    """Yields the longest runs of strokes whose distances are equal, seen along their direction."""
    across, along = _turned(strokes[:, :2], axis)
    low, high = along - strokes[:, 3] / 2, along + strokes[:, 3] / 2
    apart = across[None] - across[:, None]
    gap = np.maximum(low[None] - high[:, None], low[:, None] - high[None])
    beside = (apart >= SPACING[0]) & (apart <= SPACING[1]) & (gap <= 0.3 * apart)
    first, second = np.nonzero(beside)
    if not len(first):
        return
    step = apart[first, second]
    slope = (along[second] - along[first]) / step
    seen = apart[first] / step[:, None]
    number = np.rint(seen)
    slack = np.minimum(0.22, 1.6 / step)[:, None] * np.sqrt(np.maximum(1, np.abs(number)))
    off = np.abs(along[None] - along[first][:, None] - slope[:, None] * apart[first])
    lengths = (strokes[None, :, 3] + strokes[first, 3][:, None]) / 2
    hit = (np.abs(seen - number) <= slack) & (off <= np.maximum(2.0, 0.3 * lengths))
    hit &= (number >= 0) & (number <= STEPS)
    taken = np.zeros((len(first), STEPS + 2), bool)
    rows, columns = np.nonzero(hit)
    taken[rows, number[rows, columns].astype(int)] = True
    length = np.argmin(taken, axis=1)
    for k in np.flatnonzero(length == length.max()) if length.max() >= FEWEST else ():
        # Two strokes may stand at one step; the darker one is listed first.
        members = np.flatnonzero(hit[k] & (number[k] < length[k]))
        _, once = np.unique(number[k, members], return_index=True)
        yield strokes[members[once]]


def _at_border(strokes: np.ndarray, shape: tuple[int, ...]) -> int:
    """Returns the number of parallel strokes beside each other at the border.

    A ruler's ends and its longer ticks are cut by the border: distances are equal only roughly.
    """
    near = _from_border(strokes, shape) <= 0.14 * max(shape)
    some = strokes[near & (strokes[:, 4] >= 18.0)]
    best, rivals = 0, 0
    for stroke in some:
        like = (_between(some[:, 2], stroke[2]) <= 16) & (
            np.abs(some[:, 4] - stroke[4]) <= 0.3 * stroke[4]
        )
        across, along = _turned(some[:, :2] - stroke[:2], stroke[2])
        like &= (np.abs(across) <= 135) & (np.abs(along) <= 0.75 * np.abs(across) + 4)
        gaps = np.diff(np.sort(across[like]))
        if len(gaps) < FEWEST - 1 or len(gaps) < best:
            continue
        if gaps.min() >= 3 and gaps.max() <= min(42.0, 2.6 * gaps.min()):
            best = len(gaps) + 1
            rivals = int((strokes[:, 4] >= 0.65 * some[like, 4].mean()).sum())
    return best if rivals <= 2 * best + 1 else 0


def _between(turn: np.ndarray, other: float) -> np.ndarray:
    """Returns the angle between directions in degrees, 0 to 90."""
    return np.abs((turn - other + 90) % 180 - 90)


def _turned(points: np.ndarray, axis: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions across and along a direction."""
    cosine, sine = np.cos(np.radians(axis)), np.sin(np.radians(axis))
    return points @ np.array([-sine, cosine]), points @ np.array([cosine, sine])


def _from_border(strokes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    x, y = strokes[:, 0], strokes[:, 1]
    return np.minimum.reduce([x, shape[1] - 1 - x, y, shape[0] - 1 - y])

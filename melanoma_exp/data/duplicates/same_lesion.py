"""Finds lesions that were photographed again: other angle, distance, light or crop.

Features of two images are matched, and one similarity (shift, turn, scale) must lay many of them
on their partners. RANSAC draws pairs of matches to guess it (Fischler and Bolles, Comm. ACM 24,
1981); there are so few matches here that every pair is tried instead: nothing is drawn, and two
images always give the same answer. Matches along a line say nothing: pictures share rulers.
Only images of a shortlist are compared. Mirrored copies of one picture are the business of
`near_duplicates`.
"""

import os.path
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.duplicates import local_features, shortlist
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, obtain
from melanoma_exp.system.threads import threaded_map

RATIO = 0.85  # of the distance to the best partner and to the second best, Lowe's test
MATCHES = 64  # the clearest ones; every pair of them is tried
APART = 20.0  # least distance in pixels between two matches that propose a similarity
SCALES = (1 / 3, 3.0)  # of a photograph against another of the same lesion
NEAR = 5.0  # pixels within which a match agrees with a similarity
WIDTH = 5.0  # pixels that half of the agreeing matches must be off their line, which is a ruler's
SUSPECTED = 7  # agreeing matches
SURE = 12  # agreeing matches: see docs/decisions on same lesions
BLOCK = 2**14  # pairs of one entry of the cache
VERSION = 2  # raise it when the same features would give other pairs


@dataclass(frozen=True)
class SameLesions:
    """Pairs of images that seem to show one lesion, each once.

    Attributes:
        first: int64 (m,), the lower row.
        second: int64 (m,), the higher row.
        agreeing: int64 (m,), matches that one similarity explains, `SUSPECTED` or more.
        scale: float64 (m,), how much larger the second shows it.
        turn: float64 (m,), degrees clockwise that the second is turned, -180 to 180.
    """

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    agreeing: NDArray[np.int64]
    scale: NDArray[np.float64]
    turn: NDArray[np.float64]

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which pairs are beyond doubt, bool (m,)."""
        return self.agreeing >= SURE

    def __len__(self) -> int:
        """Returns the number of pairs."""
        return len(self.first)


def find(
    paths: Sequence[Path],
    file_digests: Sequence[str],
    max_pixels: int,
    cache: Path,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> SameLesions:
    """Returns the pairs among readable files; what was compared before comes from the cache.

    The order of the files makes no difference.

    Args:
        paths: The files, of different content.
        file_digests: SHA-256 of each.
        max_pixels: The survey has opened them under this limit.
        cache: The folder of cached data.
        progress: Called now and then with the pairs that are compared and all there are.

    Raises:
        UserError: The cache cannot be written, or a file is no longer what it was.
    """
    order = sorted(range(len(paths)), key=lambda row: file_digests[row])
    if not order:
        return _pairs(np.zeros((0, 5)))
    folder = os.path.commonpath([path.absolute() for path in paths])
    digests = [file_digests[row] for row in order]
    version = [VERSION, local_features.VERSION, digests]

    def make(into: Path) -> None:
        with ExitStack() as held:
            files = [paths[row] for row in order]
            features = local_features.load(files, digests, max_pixels, cache, held)
            proposed = shortlist.pairs(features.descriptors)
            found = []
            for start in range(0, len(proposed), BLOCK):
                some = proposed[start : start + BLOCK]

                def report(done: int, start: int = start, total: int = len(proposed)) -> None:
                    progress(start + done, total)

                def compare(
                    into: Path,
                    some: NDArray[np.int64] = some,
                    report: Callable[[int], None] = report,
                ) -> None:
                    np.save(into / "found.npy", _compared(features, some, report))

                key = digest([*version, start])
                with closing(obtain(cache, "compared", key, about, compare)) as entry:
                    found.append(np.load(entry.folder / "found.npy"))
                report(len(some))  # also where an earlier run compared them
            np.save(into / "pairs.npy", np.concatenate([np.zeros((0, 5)), *found]))

    about = About(folder, len(order))
    with closing(obtain(cache, "same_lesions", digest(version), about, make)) as entry:
        found = np.load(entry.folder / "pairs.npy")
    return _in_order(found, np.array(order))


def compare(
    mine: tuple[NDArray[np.float32], NDArray[np.uint8]],
    other: tuple[NDArray[np.float32], NDArray[np.uint8]],
) -> tuple[int, complex]:
    """Returns how many matches the best similarity explains, and its turn and scale.

    Args:
        mine: Positions and descriptors of one image, as `local_features.of_image` gives them.
        other: Those of the other.

    Returns:
        The number of matches, and the factor a of z -> a z + b that lays the first image on the
        second, x + iy being a position.
    """
    first, second = _matches(mine[1], other[1])
    if len(first) < SUSPECTED:
        return 0, 1 + 0j
    z = mine[0][first].astype(np.float64) @ np.array([1, 1j])
    w = other[0][second].astype(np.float64) @ np.array([1, 1j])
    return _similarity(z, w)


def _compared(
    features: local_features.LocalFeatures,
    proposed: NDArray[np.int64],
    report: Callable[[int], None],
) -> NDArray:
    """Returns rows of first, second, agreeing, scale and turn, float64 (m, 5)."""
    from threadpoolctl import threadpool_limits

    def one(k: int) -> tuple[float, ...] | None:
        a, b = proposed[k].tolist()
        agreeing, factor = compare(
            (features.positions[a], features.descriptors[a]),
            (features.positions[b], features.descriptors[b]),
        )
        turn = float(np.degrees(np.angle(factor)))
        return (a, b, agreeing, abs(factor), turn) if agreeing >= SUSPECTED else None

    # Products of two images are too small to be shared by threads: the images are.
    with threadpool_limits(1):
        found = [row for row in threaded_map(one, range(len(proposed)), report) if row is not None]
    return np.array(found, np.float64).reshape(-1, 5)


def _matches(
    mine: NDArray[np.uint8], other: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the features of both that are clearly each other's nearest, the clearest first."""
    nothing = np.zeros(0, np.int64)
    if min(len(mine), len(other)) < SUSPECTED:
        return nothing, nothing
    a, b = mine.astype(np.float32), other.astype(np.float32)
    squares = (a**2).sum(axis=1)[:, None] + (b**2).sum(axis=1) - 2 * (a @ b.T)
    rows = np.arange(len(a))
    near = squares.argmin(axis=1)
    best = squares[rows, near]
    mutual = squares.argmin(axis=0)[near] == rows
    squares[rows, near] = np.inf
    ratio = best / np.maximum(squares.min(axis=1), 1)
    first = np.flatnonzero(mutual & (ratio < RATIO**2))
    first = first[np.argsort(ratio[first], kind="stable")][:MATCHES]
    return first, near[first]


def _similarity(z: NDArray[np.complex128], w: NDArray[np.complex128]) -> tuple[int, complex]:
    """Returns how many z -> w the best of all similarities explains, and its factor."""
    i, j = np.triu_indices(len(z), 1)
    from_, to = z[j] - z[i], w[j] - w[i]
    fits = np.abs(from_) >= APART
    i, from_, to = i[fits], from_[fits], to[fits]
    a = to / from_
    fits = (np.abs(a) >= SCALES[0]) & (np.abs(a) <= SCALES[1])
    i, a = i[fits], a[fits]
    if not len(a):
        return 0, 1 + 0j
    b = w[i] - a * z[i]
    agree = np.abs(a[:, None] * z + b[:, None] - w) <= NEAR
    best = int(agree.sum(axis=1).argmax())
    factor, inside = complex(a[best]), agree[best]
    for _ in range(3):  # least squares over all that agree
        middle_z, middle_w = z[inside].mean(), w[inside].mean()
        centred = z[inside] - middle_z
        fitted = np.vdot(centred, w[inside] - middle_w) / max(np.vdot(centred, centred).real, 1e-9)
        now = np.abs(fitted * (z - middle_z) + middle_w - w) <= NEAR
        if now.sum() < inside.sum() or not SCALES[0] <= abs(fitted) <= SCALES[1]:
            break
        factor, inside = complex(fitted), now
    if min(_width(z[inside]), _width(w[inside])) < WIDTH:
        return 0, factor
    # Two features at one place are one piece of evidence.
    places = np.unique(np.stack([np.rint(z[inside] / 3), np.rint(w[inside] / 3)]), axis=1)
    return int(places.shape[1]), factor


def _width(points: NDArray[np.complex128]) -> float:
    """Returns the median distance of points from the line that they lie along most."""
    centred = points - points.mean()
    _, axes = np.linalg.eigh(np.cov(centred.real, centred.imag))
    return float(np.median(np.abs(centred.real * axes[0, 0] + centred.imag * axes[1, 0])))


def _in_order(found: NDArray, order: NDArray[np.int64]) -> SameLesions:
    """Returns pairs by the rows of the files as they were given."""
    rows = order[found[:, :2].astype(np.int64)]
    swap = rows[:, 0] > rows[:, 1]
    found = found.copy()
    found[:, :2] = np.sort(rows, axis=1)
    found[swap, 3], found[swap, 4] = 1 / found[swap, 3], -found[swap, 4]
    return _pairs(found[np.lexsort((found[:, 1], found[:, 0]))])


def _pairs(found: NDArray) -> SameLesions:
    first, second, agreeing = found[:, :3].astype(np.int64).T
    return SameLesions(first, second, agreeing, found[:, 3], found[:, 4])

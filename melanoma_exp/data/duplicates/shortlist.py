"""Which pairs of images are worth comparing feature by feature: those that share rare features.

Descriptors become words of a vocabulary learned from the images themselves, in two levels, and an
image the list of its words: Sivic and Zisserman, "Video Google", ICCV 2003; Nister and Stewenius,
"Scalable Recognition with a Vocabulary Tree", CVPR 2006. Time grows with the number of images and,
by the lengths of the lists, a little with its square.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.duplicates.local_features import SIZE

NEAREST = 60  # images that each image is compared with
SAMPLE = 2**17  # descriptors that the vocabulary is learned from
WEIGHTS = (1.0, 0.5, 0.25)  # of the words that are nearest to a descriptor, by rank
WORD = 8  # descriptors of the sample for each word
MOST_CELLS = 128  # of each level
ROUNDS = 8  # of k-means
ROWS = 256  # images at once


def pairs(descriptors: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Returns pairs of images that may show the same, int64 (m, 2), the lower first, in order.

    In a set so small that each image has hardly more than `NEAREST` others these are all pairs.

    Args:
        descriptors: For each image uint8 (features, `SIZE`).
    """
    n = len(descriptors)
    if n <= 2 * NEAREST:
        return np.stack(np.triu_indices(n, 1), axis=1)
    near = _nearest(descriptors)
    first = np.repeat(np.arange(n), near.shape[1])
    both = np.stack([first, near.ravel()], axis=1)
    return np.unique(np.sort(both[near.ravel() >= 0], axis=1), axis=0)


def _nearest(descriptors: Sequence[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Returns for each image those that share most with it, int64 (n, `NEAREST`), or -1."""
    from scipy.sparse import csr_array

    n = len(descriptors)
    tree = _Vocabulary(_sample(descriptors))
    blocks = [descriptors[start : start + ROWS] for start in range(0, n, ROWS)]
    words = np.concatenate([tree.words(np.concatenate(block)) for block in blocks])
    image = np.repeat(np.arange(n), [len(of_image) for of_image in descriptors])
    weights = np.tile(np.array(WEIGHTS, np.float32), len(words))
    place = np.repeat(image, len(WEIGHTS)), words.ravel()
    counts = csr_array((weights, place), (n, tree.size))
    held = np.bincount(counts.indices, minlength=tree.size)  # images that have the word
    # A hair or a ruler repeats one word: the root keeps it from outweighing all others.
    rare = np.log(n / np.maximum(held, 1)).astype(np.float32)
    counts.data = np.sqrt(counts.data) * rare[counts.indices]
    length = np.sqrt(counts.multiply(counts).sum(axis=1))
    counts.data /= np.repeat(np.maximum(length, 1e-6), np.diff(counts.indptr)).astype(np.float32)
    turned = counts.T.tocsr()
    near = np.full((n, NEAREST), -1)
    for start in range(0, n, ROWS):
        shared = (counts[start : start + ROWS] @ turned).toarray()
        rows = np.arange(len(shared))
        shared[rows, start + rows] = 0
        best = np.argpartition(-shared, NEAREST, axis=1)[:, :NEAREST]
        found = shared[rows[:, None], best] > 0
        near[start : start + ROWS][found] = best[found]
    return near


def _sample(descriptors: Sequence[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Returns evenly spaced descriptors of all images, uint8 (m, `SIZE`)."""
    total = sum(map(len, descriptors))
    step = max(1, -(-total // SAMPLE))
    kept, before = [], 0
    for of_image in descriptors:
        kept.append(of_image[-before % step :: step])
        before += len(of_image)
    return np.concatenate(kept)


class _Vocabulary:
    """A tree of two levels; `size` is the number of words."""

    def __init__(self, sample: NDArray[np.uint8]) -> None:
        """Learns the words.

        Args:
            sample: Descriptors, uint8 (m, `SIZE`).
        """
        cells = int(min(MOST_CELLS, max(1, round((len(sample) / WORD) ** 0.5))))
        self._coarse = _centres(sample, cells)
        cell = _assign(sample, self._coarse)
        self._fine = [_centres(sample[cell == k], cells) for k in range(len(self._coarse))]
        self._begins = np.cumsum([0, *map(len, self._fine)])
        self.size = int(self._begins[-1])

    def words(self, descriptors: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Returns the nearest words of each descriptor, int64 (m, len(WEIGHTS)), nearest first.

        They are looked for in the two nearest cells: one alone often misses the nearest word.
        """
        cells, far = _two_nearest(descriptors, self._coarse)
        words = np.zeros((len(descriptors), 4), np.int64)
        distance = np.full(words.shape, np.inf, np.float32)
        for k, fine in enumerate(self._fine):
            for column in (0, 1):
                some = np.flatnonzero((cells[:, column] == k) & (far[:, column] < np.inf))
                if len(some):
                    near, distances = _two_nearest(descriptors[some], fine)
                    words[some, 2 * column : 2 * column + 2] = self._begins[k] + near
                    distance[some, 2 * column : 2 * column + 2] = distances
        order = np.argsort(distance, axis=1, kind="stable")[:, : len(WEIGHTS)]
        words = np.take_along_axis(words, order, axis=1)
        known = np.take_along_axis(distance, order, axis=1) < np.inf
        return np.where(known, words, words[:, :1])


def _centres(rows: NDArray[np.uint8], count: int) -> NDArray[np.uint8]:
    """Returns at most `count` centres by k-means, uint8 (k, `SIZE`), begun at evenly spaced rows.

    Centres are rounded, so that distances are exact and every machine finds the same.
    """
    if not len(rows):
        return np.zeros((1, SIZE), np.uint8)
    centres = rows[np.unique(np.linspace(0, len(rows) - 1, count).astype(int))]
    for _ in range(ROUNDS):
        near = _assign(rows, centres)
        held = np.bincount(near, minlength=len(centres))
        order = np.argsort(near, kind="stable")
        begins = np.cumsum([0, *held])[:-1][held > 0]
        sums = np.add.reduceat(rows[order].astype(np.int64), begins, axis=0)
        centres = np.rint(sums / held[held > 0, None]).astype(np.uint8)
    return centres


def _two_nearest(
    rows: NDArray[np.uint8], centres: NDArray[np.uint8]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Returns the two nearest centres of each row and, up to a constant, how far they are.

    Where there is one centre alone, the second is as far as can be.
    """
    whole = centres.astype(np.float32)
    distance = (whole**2).sum(axis=1) - 2 * (rows.astype(np.float32) @ whole.T)
    each = np.arange(len(rows))
    first = distance.argmin(axis=1)
    nearest = distance[each, first]
    distance[each, first] = np.inf
    second = distance.argmin(axis=1)
    return np.stack([first, second], axis=1), np.stack([nearest, distance[each, second]], axis=1)


def _assign(rows: NDArray[np.uint8], centres: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Returns the nearest centre of each row, int64 (m,)."""
    whole = centres.astype(np.float32)
    length = (whole**2).sum(axis=1)
    near = np.empty(len(rows), np.int64)
    for start in range(0, len(rows), 2**14):
        some = rows[start : start + 2**14].astype(np.float32)
        near[start : start + 2**14] = (length - 2 * (some @ whole.T)).argmin(axis=1)
    return near

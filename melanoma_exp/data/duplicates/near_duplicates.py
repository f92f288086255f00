"""Finds images that are one picture: resized, recompressed, mirrored or turned by quarters.

Two steps. A perceptual hash (signs of the lowest cosine coefficients of the brightness) proposes
pairs; turning or mirroring an image only swaps coefficients and changes signs, so all eight
positions come from one transform. Then fine detail confirms: what is left of the brightness
without its blur, squashed so that one strong edge does not decide, compared within a disc that
leaves the dark corners of dermoscopes out. Dark round lesions on even skin agree in hash and in
outline; they differ in detail. Smooth shapes without any texture cannot be told apart.

`DISTANCE` was set on real images. Of pairs of different lesions in HAM10000 none came below 0.38;
150 of its images at a third of their size and JPEG quality 75, at half size and quality 50, at
quality 30, or at a quarter of their size, were at most 0.25 from their originals.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from melanoma_exp.data.duplicates import hash_index

SIDE = 32  # pixels of a thumbnail's side
HASH_SIDE = 8  # lowest cosine coefficients in each direction; 63 bits without the mean
HASH_LIMIT = 10  # bits that may differ
DISTANCE = 0.3  # 1 - correlation of detail; 0 is the same, about 1 unrelated
BLOCK = 1024  # rows at once: memory stays small beside the images
DETAIL_SCALE = 3.0  # grey levels: the contrast beyond which detail counts ever less
DISC = 0.85  # of the half side
VERSION = 1  # raise it when other pairs would be found

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601

TURNS = (
    "in the same position",
    "mirrored left to right",
    "mirrored top to bottom",
    "turned by 180°",
    "mirrored along the diagonal",
    "turned by 90° clockwise",
    "turned by 90° anticlockwise",
    "mirrored along the other diagonal",
)


@dataclass(frozen=True)
class Pairs:
    """Pairs of near-identical images, each once.

    Attributes:
        first: int64 (m,), the lower row.
        second: int64 (m,), the higher row.
        turn: int64 (m,), what lays the second on the first; see `turned`.
        distance: float64 (m,), 0 to `DISTANCE`.
    """

    first: np.ndarray
    second: np.ndarray
    turn: np.ndarray
    distance: np.ndarray

    def __len__(self) -> int:
        """Returns the number of pairs."""
        return len(self.first)


def turned(image: np.ndarray, turn: int) -> np.ndarray:
    """Returns an image (h, w, ...) in one of the eight positions that `TURNS` names.

    Bit 4 of `turn` transposes, then bit 2 swaps top and bottom and bit 1 left and right.
    """
    if turn & 4:
        image = image.swapaxes(0, 1)
    if turn & 2:
        image = image[::-1]
    return image[:, ::-1] if turn & 1 else image


def find(thumbnails: np.ndarray) -> Pairs:
    """Returns all pairs of near-identical images.

    Images without any detail (one even colour) are near to none.

    Args:
        thumbnails: uint8 (n, `SIDE`, `SIDE`, 3), area-averaged.
    """
    grey = np.empty(thumbnails.shape[:3], np.float32)
    for rows in _blocks(len(grey)):
        grey[rows] = thumbnails[rows] @ LUMA
    best: dict[tuple[int, int], tuple[float, int]] = {}
    hashes = _hashes(grey)
    detail = _detail(grey)
    for turn, others in enumerate(hashes):
        for first, second in hash_index.pairs(hashes[0], others, HASH_LIMIT):
            for distance, k in _near(detail, first, second, turn):
                pair = (int(first[k]), int(second[k]))
                best[pair] = min(best.get(pair, (np.inf, 0)), (distance, turn))
    found = sorted(best)
    return Pairs(
        first=np.array([a for a, _ in found], np.int64),
        second=np.array([b for _, b in found], np.int64),
        turn=np.array([best[pair][1] for pair in found], np.int64),
        distance=np.array([best[pair][0] for pair in found], np.float64),
    )


def _near(
    detail: np.ndarray, first: np.ndarray, second: np.ndarray, turn: int
) -> Iterator[tuple[float, int]]:
    """Yields the distance and the index of each proposed pair that is one."""
    order = _pixel_order(turn)
    for some in _blocks(len(first)):
        distance = 1 - np.einsum("ij,ij->i", detail[first[some]], detail[second[some]][:, order])
        for k in np.flatnonzero(distance <= DISTANCE):
            yield max(float(distance[k]), 0.0), some.start + int(k)


def _hashes(grey: np.ndarray) -> np.ndarray:
    """Returns uint64 (8, n): for each of the eight positions the hash of every image."""
    frequency, position = np.arange(HASH_SIDE)[:, None], np.arange(SIDE)
    waves = np.cos(np.pi * frequency * (2 * position + 1) / (2 * SIDE)).astype(np.float32)
    positive = np.empty((len(grey), HASH_SIDE, HASH_SIDE), bool)
    for rows in _blocks(len(grey)):
        positive[rows] = waves @ grey[rows] @ waves.T > 0
    odd = np.arange(HASH_SIDE) % 2 == 1  # these waves change sign when mirrored
    hashes = []
    for turn in range(8):
        bits = positive.swapaxes(1, 2) if turn & 4 else positive
        bits = bits ^ (odd[:, None] & bool(turn & 2)) ^ (odd & bool(turn & 1))
        flat = bits.reshape(len(bits), -1).copy()
        flat[:, 0] = False  # the mean is positive in every image
        hashes.append(np.packbits(flat, axis=1).view(np.uint64).ravel())
    return np.array(hashes)


def _detail(grey: np.ndarray) -> np.ndarray:
    """Returns float32 (n, SIDE * SIDE) of length 1 each, or 0 where there is no detail.

    It takes the place of the brightness: with 100,000 images either is 400 MB.
    """
    import cv2

    centre = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
    disc = centre[:, None] ** 2 + centre**2 <= DISC**2
    detail = grey.reshape(len(grey), SIDE * SIDE)
    for row, image in enumerate(grey):
        fine = image - cv2.GaussianBlur(image, (0, 0), 1.0, borderType=cv2.BORDER_REFLECT)
        flat = (disc * fine / (np.abs(fine) + DETAIL_SCALE)).ravel()
        # Detail far below one grey level is rounding, not content.
        length = float(np.linalg.norm(flat))
        detail[row] = flat / length if length > 0.1 else 0.0
    return detail


def _pixel_order(turn: int) -> np.ndarray:
    """Returns the order of flat pixels that `turned` gives."""
    return turned(np.arange(SIDE * SIDE).reshape(SIDE, SIDE), turn).ravel()


def _blocks(n: int) -> Iterator[slice]:
    return (slice(start, min(start + BLOCK, n)) for start in range(0, n, BLOCK))

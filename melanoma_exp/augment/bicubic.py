"""Rotates many images alike, with Pillow's own pixels for a fraction of its time.

Pillow weighs 4x4 pixels in float64, cuts the fraction off and does so image by image. Here the
weights of one rotation are a sparse matrix, and one product in float32 serves many images. It is
exact enough to know the whole number of nearly all pixels; those that lie nearer to the next one
than the product can tell are computed again in Pillow's own steps.
"""

from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from scipy import sparse

from melanoma_exp.augment.turn import Turn

# The weights of a pixel sum up to at most 2.25 in absolute value, so 16 products of rounded
# numbers, summed up, are wrong by at most 2.25 * 255 * 19 * 2**-24 = 6.5e-4.
MARGIN = 1e-3
TOGETHER = 32  # images in one product
BAND = 2**12  # pixels of an image in one product: what it needs stays in a cache


def rotate(images: list[np.ndarray], turn: Turn) -> list[np.ndarray]:
    """Rotates images, as `transform` and `crop` of Pillow with its bicubic filter do.

    Args:
        images: At most `TOGETHER`, uint8 (height, width, 3), all of one size.
        turn: The rotation and the part that is kept.

    Returns:
        The parts, uint8 (height, width, 3) of the box.
    """
    height, width = images[0].shape[:2]
    pixels = cv2.merge(images).reshape(height * width, -1).astype(np.float32)
    left, upper, right, lower = turn.box
    turned = np.empty((lower - upper, right - left, pixels.shape[1]), np.uint8)
    rows = max(1, BAND // (right - left))
    for top in range(upper, lower, rows):
        part = turned[top - upper :][:rows]
        box = (left, top, right, top + len(part))
        part[...] = _Map.of(Turn(turn.matrix, box), width, height).apply(pixels).reshape(part.shape)
    parts = [np.empty((*turned.shape[:2], 3), np.uint8) for _ in images]
    cv2.mixChannels([turned], parts, np.repeat(np.arange(pixels.shape[1]), 2).tolist())
    return parts


@dataclass(frozen=True)
class _Map:
    """Where the pixels of a part come from.

    Attributes:
        places: int32 (pixels, 16), the rows of 4x4 neighbours in the flat image, row by row.
        weights: float32 (pixels, 16), 0 for pixels outside of the image.
        across: float64 (pixels,), how far right of the second column, 0 <= across < 1.
        down: float64 (pixels,), how far below the second row.
        area: Pixels of the image.
    """

    places: np.ndarray
    weights: np.ndarray
    across: np.ndarray
    down: np.ndarray
    area: int

    @classmethod
    def of(cls, turn: Turn, width: int, height: int) -> Self:
        """Finds the neighbours of each pixel, by Pillow's arithmetic."""
        a, b, c, d, e, f = turn.matrix
        left, upper, right, lower = turn.box
        x, y = np.arange(left, right) + 0.5, np.arange(upper, lower)[:, None] + 0.5
        x, y = (a * x + b * y + c).ravel(), (d * x + e * y + f).ravel()
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        (column, across), (row, down) = _neighbours(x, width), _neighbours(y, height)
        places = (row * width)[:, None] + column
        weights = (_weights(down) * inside)[:, None] * _weights(across)
        # (4, 4, pixels) is fast to compute, (pixels, 16) to use.
        flat = [np.ascontiguousarray(array.reshape(16, -1).T) for array in (places, weights)]
        return cls(flat[0], flat[1], across, down, width * height)

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Turns float32 (area, n) of whole numbers from 0 to 255 into uint8 (pixels, n)."""
        begins = np.arange(0, self.places.size + 1, 16, dtype=np.int32)
        shape = (len(self.places), self.area)
        matrix = sparse.csr_array((self.weights.ravel(), self.places.ravel(), begins), shape=shape)
        values = matrix @ pixels
        # What is cut off at 0 and 255 needs no care there.
        np.clip(values, 0.5, 255.5, out=values)
        whole = values.astype(np.uint8)
        values -= whole
        close = np.flatnonzero((values < MARGIN) | (values > 1 - MARGIN))
        for part in np.split(close, range(BAND, len(close), BAND)):
            whole.ravel()[part] = self._exact(pixels, *np.divmod(part, pixels.shape[1]))
        return whole

    def _exact(self, pixels: np.ndarray, pixel: np.ndarray, channel: np.ndarray) -> np.ndarray:
        near = pixels[self.places[pixel].T, channel].astype(np.float64).reshape(4, 4, -1)
        rows = _cubic(near.swapaxes(0, 1), self.across[pixel])
        return np.clip(_cubic(rows, self.down[pixel]), 0, 255).astype(np.uint8)


def _neighbours(place: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns four neighbours, int32 (4, n), and the way from the second, float64 (n,)."""
    place = place - 0.5
    second = np.floor(place)
    steps = np.arange(-1, 3, dtype=np.int32)[:, None]
    return np.clip(second.astype(np.int32) + steps, 0, size - 1), place - second


def _weights(way: np.ndarray) -> np.ndarray:
    """Returns the weights of four neighbours, float32 (4, n): `_cubic`, sorted by neighbour."""
    square, cube = way * way, way**2 * way
    weights = (2 * square - cube - way, 1 - 2 * square + cube, way + square - cube, cube - square)
    return np.stack(weights).astype(np.float32)


def _cubic(four: np.ndarray, way: np.ndarray) -> np.ndarray:
    """Interpolates between four values, (4, ..., n), in the order of BICUBIC in its Geometry.c."""
    p, q, r, s = four
    return q + way * ((-p + r) + way * ((2 * (p - q) + r - s) + way * (-p + q - r + s)))

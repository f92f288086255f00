"""Flips, shifts, rotation and zoom as one affine map and one resampling.

Matrices are 3x3, act on homogeneous pixel centres (x, y, 1) and map a place in the output to the
place in the input it is read from, so steps applied to the image first multiply on the left.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from melanoma_exp.augment.base import FlipRotateZoom

_TURNS = (-1, cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
_BORDER = {
    "reflect": cv2.BORDER_REFLECT,
    "constant": cv2.BORDER_CONSTANT,
    "nearest": cv2.BORDER_REPLICATE,
}


def matrix(
    height: int,
    width: int,
    flip: tuple[bool, bool] = (False, False),
    shift: tuple[float, float] = (0.0, 0.0),
    turns: float = 0.0,
    zoom: tuple[float, float] = (0.0, 0.0),
) -> np.ndarray:
    """Returns the map of flip, then shift, then rotation, then zoom.

    Args:
        height: Of the image in pixels.
        width: Of the image in pixels.
        flip: Upside down, left to right.
        shift: Down and right, as shares of height and width.
        turns: Rotation as a share of a full turn, counter-clockwise as Keras has it.
        zoom: Of height and width; 0.2 shows 1.2 times as much (zooms out).

    Returns:
        float64 (3, 3), output place to input place.
    """
    cx, cy = (width - 1) / 2, (height - 1) / 2
    sy, sx = (-1.0 if axis else 1.0 for axis in flip)
    flipped = np.array([[sx, 0, cx - sx * cx], [0, sy, cy - sy * cy], [0, 0, 1.0]])
    shifted = np.array([[1, 0, -shift[1] * width], [0, 1, -shift[0] * height], [0, 0, 1.0]])
    c, s = np.cos(2 * np.pi * turns), np.sin(2 * np.pi * turns)
    turned = np.array([[c, -s, cx - c * cx + s * cy], [s, c, cy - s * cx - c * cy], [0, 0, 1.0]])
    zy, zx = 1 + zoom[0], 1 + zoom[1]
    zoomed = np.array([[zx, 0, cx - zx * cx], [0, zy, cy - zy * cy], [0, 0, 1.0]])
    return flipped @ shifted @ turned @ zoomed


def random_matrix(
    policy: "FlipRotateZoom", height: int, width: int, random: np.random.Generator
) -> np.ndarray:
    """Draws the map of one image; always seven numbers, so that policies share their draws.

    Returns:
        float64 (3, 3), output place to input place.
    """
    u = random.random(7)

    def between(bounds: tuple[float, float], share: float) -> float:
        return bounds[0] + (bounds[1] - bounds[0]) * share

    zoom_height = between(policy.zoom_height, u[5])
    return matrix(
        height,
        width,
        flip=("vertical" in policy.flip and u[0] < 0.5, "horizontal" in policy.flip and u[1] < 0.5),
        shift=(between(policy.shift_height, u[2]), between(policy.shift_width, u[3])),
        turns=between(policy.rotation, u[4]),
        zoom=(
            zoom_height,
            between(policy.zoom_width, u[6]) if policy.zoom_width else zoom_height,
        ),
    )


def warp(
    image: np.ndarray, places: np.ndarray, fill_mode: str, fill_value: int, interpolation: str
) -> np.ndarray:
    """Reads an image at the mapped places.

    Args:
        image: uint8 (height, width, 3).
        places: float64 (3, 3), output place to input place.
        fill_mode: What lies outside: `reflect` (d c b a | a b c d), `wrap`, `constant`, `nearest`.
        fill_value: Of `constant`, 0 to 255.
        interpolation: `nearest` or `bilinear`.

    Returns:
        uint8 of the same shape.
    """
    how = cv2.INTER_LINEAR if interpolation == "bilinear" else cv2.INTER_NEAREST
    if fill_mode == "wrap":
        y, x = np.mgrid[: image.shape[0], : image.shape[1]]
        columns, rows = (a * x + b * y + c for a, b, c in places[:2])
        columns, rows = _wrapped(columns, image.shape[1]), _wrapped(rows, image.shape[0])
        return cv2.remap(image, columns, rows, how, borderMode=cv2.BORDER_REPLICATE)
    # Four bytes a pixel fit vector registers: the same pixels for 60 % of the time of three.
    varied = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        places[:2],
        (image.shape[1], image.shape[0]),
        flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=_BORDER[fill_mode],
        borderValue=(fill_value,) * 4,
    )
    return cv2.cvtColor(varied, cv2.COLOR_RGBA2RGB)


def turned(image: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    """Returns an image after quarter turns counter-clockwise, then mirrored left to right.

    Args:
        image: uint8 (height, width, 3).
        turns: 0 to 3.
        mirrored: Whether to mirror.

    Returns:
        uint8, contiguous; the image itself where nothing is asked for.
    """
    if turns:
        image = cv2.rotate(image, _TURNS[turns])
    return cv2.flip(image, 1) if mirrored else image


def _wrapped(places: np.ndarray, length: int) -> np.ndarray:
    """Returns places along one axis taken back into the image as TensorFlow does for Keras.

    Unlike OpenCV's, its `wrap` does not blend the last pixel with the first one: a place between
    them reads the pixel at the far end.
    """
    turns = np.floor(np.abs(places) / (length - 1))
    back = np.where(places < 0, places + length * (turns + 1), places - length * turns)
    inside = (places > -1e-3) & (places < length - 1 + 1e-3)
    return np.clip(np.where(inside, places, back), 0, length - 1).astype(np.float32)

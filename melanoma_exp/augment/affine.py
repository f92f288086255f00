"""Flips, shifts, rotation and zoom as one affine map and one resampling.

Matrices are 3x3, act on homogeneous pixel centres (x, y, 1) and map a position in the output to the
position in the input it is read from, so steps applied to the image first multiply on the left.
"""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.base import Geometric, Policy, Sampling, between, check_ascending

Fraction = Annotated[float, Field(ge=-1, le=1)]
Range = tuple[Fraction, Fraction]


class FlipRotateZoomStep(Geometric):
    """Flips, shifts, rotation and zoom with Keras' semantics, fused into one resampling.

    Factors mean what they mean in Keras' RandomFlip, RandomTranslation, RandomRotation and
    RandomZoom: a rotation is a share of a full turn; a positive zoom zooms out; shifts are shares
    of height and width. `zoom_width: null` keeps the aspect ratio. Only pixels that more than one
    step would have filled differ from applying the layers one by one.
    """

    kind: Literal["flip_rotate_zoom"]
    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    shift_height: Range
    shift_width: Range
    rotation: Range
    zoom_height: Range
    zoom_width: Range | None
    fill_mode: Literal["reflect", "wrap", "constant", "nearest"]
    fill_value: int = Field(ge=0, le=255)
    interpolation: Literal["nearest", "bilinear"]

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        check_ascending(
            self, "shift_height", "shift_width", "rotation", "zoom_height", "zoom_width"
        )
        for name in ("zoom_height", "zoom_width"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] <= -1:
                raise ValueError(f"{name}: must stay above -1, where the image vanishes")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        return warp(image, self.draw_matrix(image.shape[0], image.shape[1], random), self.sampling)

    def draw_matrix(self, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        """Draws the map of one image; always seven numbers, so that policies share their draws.

        Returns:
            float64 (3, 3), output position to input position.
        """
        u = random.random(7)

        zoom_height = between(self.zoom_height, u[5])
        return matrix(
            height,
            width,
            flip=("vertical" in self.flip and u[0] < 0.5, "horizontal" in self.flip and u[1] < 0.5),
            shift=(between(self.shift_height, u[2]), between(self.shift_width, u[3])),
            turns=between(self.rotation, u[4]),
            zoom=(zoom_height, between(self.zoom_width, u[6]) if self.zoom_width else zoom_height),
        )

    @property
    def sampling(self) -> Sampling:
        """How it resamples."""
        return Sampling(self.fill_mode, self.fill_value, self.interpolation)


class FlipRotateZoom(FlipRotateZoomStep, Policy):
    """Flips, shifts, rotation and zoom with Keras' semantics, as a policy."""


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
        float64 (3, 3), output position to input position.
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


def warp(image: np.ndarray, matrix: np.ndarray, sampling: Sampling) -> np.ndarray:
    """Reads an image at the mapped positions.

    Args:
        image: uint8 (height, width, 3).
        matrix: float64 (3, 3), output position to input position.
        sampling: How to resample.

    Returns:
        uint8 of the same shape.
    """
    import cv2

    height, width = image.shape[:2]
    how = cv2.INTER_LINEAR if sampling.interpolation == "bilinear" else cv2.INTER_NEAREST
    if sampling.fill_mode == "wrap":
        y, x = np.mgrid[:height, :width]
        columns, rows = (a * x + b * y + c for a, b, c in matrix[:2])
        columns, rows = _wrapped(columns, width), _wrapped(rows, height)
        return cv2.remap(image, columns, rows, how, borderMode=cv2.BORDER_REPLICATE)
    border = {
        "reflect": cv2.BORDER_REFLECT,
        "constant": cv2.BORDER_CONSTANT,
        "nearest": cv2.BORDER_REPLICATE,
    }[sampling.fill_mode]
    # Four bytes a pixel fit vector registers: the same pixels for 60 % of the time of three.
    warped = cv2.warpAffine(
        cv2.cvtColor(image, cv2.COLOR_RGB2RGBA),
        matrix[:2],
        (width, height),
        flags=how | cv2.WARP_INVERSE_MAP,
        borderMode=border,
        borderValue=(sampling.fill_value,) * 4,
    )
    return cv2.cvtColor(warped, cv2.COLOR_RGBA2RGB)


def _wrapped(positions: np.ndarray, length: int) -> np.ndarray:
    """Returns positions along one axis wrapped into the image as TensorFlow does for Keras.

    Unlike OpenCV's, its `wrap` does not blend the last pixel with the first one: a position between
    them reads the pixel at the far end.
    """
    turns = np.floor(np.abs(positions) / (length - 1))
    back = np.where(positions < 0, positions + length * (turns + 1), positions - length * turns)
    inside = (positions > -1e-3) & (positions < length - 1 + 1e-3)
    return np.clip(np.where(inside, positions, back), 0, length - 1).astype(np.float32)

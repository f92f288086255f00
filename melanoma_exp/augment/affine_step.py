"""Rotation, scale, aspect, shear and shift in the units of torchvision's RandomAffine."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.affine import matrix, warp
from melanoma_exp.augment.base import Geometric, Sampling, between, check_ascending

Degrees = Annotated[float, Field(ge=-360, le=360)]
Slant = Annotated[float, Field(gt=-90, lt=90)]
Factor = Annotated[float, Field(gt=0, le=10)]
Share = Annotated[float, Field(ge=-1, le=1)]


class Affine(Geometric):
    """Scales, shears, rotates and shifts around the centre, as one resampling.

    What torchvision's RandomAffine does, with an aspect ratio as of RandomResizedCrop (Szegedy et
    al., Going Deeper with Convolutions, CVPR 2015). `flip_rotate_zoom` has Keras' units instead and
    no shear.

    Attributes:
        probability: Of moving the image at all.
        rotation: Counter-clockwise, in degrees.
        scale: 1.2 shows the image 1.2 times as large.
        aspect: Width by height of what was square, drawn uniformly in the logarithm; area stays.
        shear: Of the x axis, in degrees.
        shift: Down and right, each drawn by itself, as shares of height and width.
        fill_mode: What lies outside: `reflect`, `wrap`, `constant` or `nearest`.
        fill_value: Of `constant`.
        interpolation: `nearest` or `bilinear`.
    """

    kind: Literal["affine"]
    probability: float = Field(ge=0, le=1)
    rotation: tuple[Degrees, Degrees]
    scale: tuple[Factor, Factor]
    aspect: tuple[Factor, Factor]
    shear: tuple[Slant, Slant]
    shift: tuple[Share, Share]
    fill_mode: Literal["reflect", "wrap", "constant", "nearest"]
    fill_value: int = Field(ge=0, le=255)
    interpolation: Literal["nearest", "bilinear"]

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        check_ascending(self, "rotation", "scale", "aspect", "shear", "shift")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        drawn = self.draw_matrix(image.shape[0], image.shape[1], random)
        return image if np.array_equal(drawn, np.eye(3)) else warp(image, drawn, self.sampling)

    def draw_matrix(self, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        """Draws the map of one image, float64 (3, 3); always seven numbers."""
        u = random.random(7)
        if u[0] >= self.probability:
            return np.eye(3)

        scale = between(self.scale, u[2])
        low, high = np.log(self.aspect)
        stretch = float(np.exp(between((low, high), u[3]) / 2))
        moved = matrix(
            height,
            width,
            shift=(between(self.shift, u[5]), between(self.shift, u[6])),
            turns=between(self.rotation, u[1]) / 360,
            zoom=(stretch / scale - 1, 1 / (stretch * scale) - 1),
        )
        slant = float(np.tan(np.radians(between(self.shear, u[4]))))
        return moved @ np.array([[1, slant, -slant * (height - 1) / 2], [0, 1, 0], [0, 0, 1.0]])

    @property
    def sampling(self) -> Sampling:
        """How it resamples."""
        return Sampling(self.fill_mode, self.fill_value, self.interpolation)

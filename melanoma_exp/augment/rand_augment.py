"""RandAugment: a few operations of a list, all of one magnitude."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.augment.affine import matrix, warp
from melanoma_exp.augment.base import Sampling, Step

if TYPE_CHECKING:
    import PIL.Image

Operation = Literal[
    "identity",
    "auto_contrast",
    "equalize",
    "rotate",
    "solarize",
    "colour",
    "posterize",
    "contrast",
    "brightness",
    "sharpness",
    "shear_x",
    "shear_y",
    "translate_x",
    "translate_y",
]
MAGNITUDE = 10  # at which an operation is as strong as it gets
REFLECT = Sampling("reflect", 0, "bilinear")


class RandAugment(Step):
    """Applies operations that are drawn from a list, each with the same magnitude.

    Cubuk et al., RandAugment: Practical Automated Data Augmentation with a Reduced Search Space,
    NeurIPS 2020. At magnitude 10 they rotate by 30 degrees, shear by 0.3, shift by 0.3 of the side,
    change saturation, contrast, brightness or sharpness to 0.1 or 1.9 times, invert all values
    (`solarize`) or keep 4 bits (`posterize`); the sign is drawn. Those without a strength are
    `identity`, `auto_contrast` and `equalize`. Below 10 strengths are proportional; 0 changes
    nothing but by the latter two. What lies outside is reflected, not grey.

    Attributes:
        probability: Of varying an image at all.
        count: Operations of an image, drawn with replacement.
        magnitude: Strength of all of them, 0 to 10; the paper used 9 and two operations for
            EfficientNet-B7 at a scale that goes to 30.
        operations: The list; the paper's has all 14.
    """

    kind: Literal["rand_augment"]
    probability: float = Field(ge=0, le=1)
    count: int = Field(ge=1, le=10)
    magnitude: float = Field(ge=0, le=MAGNITUDE)
    operations: tuple[Operation, ...] = Field(min_length=1)

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image; always draws 1 + 2 `count` numbers."""
        u = random.random(1 + 2 * self.count)
        if u[0] >= self.probability:
            return image
        for chosen, sign in zip(u[1::2], u[2::2], strict=True):
            name = self.operations[int(chosen * len(self.operations))]
            strength = self.magnitude / MAGNITUDE * (1 if sign < 0.5 else -1)
            image = apply(name, image, strength)
        return image


def apply(name: Operation, image: np.ndarray, strength: float) -> np.ndarray:
    """Returns an image after an operation.

    Args:
        name: Of the operation.
        image: uint8 (height, width, 3), not changed.
        strength: -1 to 1; 0 changes nothing where the operation has a strength.
    """
    if name in GEOMETRIC:
        drawn = GEOMETRIC[name](image.shape[0], image.shape[1], strength)
        return warp(image, drawn, REFLECT) if strength else image
    return image if name == "identity" else np.asarray(_toned(name, image, strength))


def _toned(name: Operation, image: np.ndarray, strength: float) -> "PIL.Image.Image":
    """Returns an image after an operation on its values."""
    from PIL import Image, ImageEnhance, ImageOps

    picture = Image.fromarray(image)
    match name:
        case "auto_contrast":
            return ImageOps.autocontrast(picture)
        case "equalize":
            return ImageOps.equalize(picture)
        case "solarize":
            return ImageOps.solarize(picture, 256 - round(256 * abs(strength)))
        case "posterize":
            return ImageOps.posterize(picture, 8 - round(4 * abs(strength)))
    enhance = {
        "colour": ImageEnhance.Color,
        "contrast": ImageEnhance.Contrast,
        "brightness": ImageEnhance.Brightness,
        "sharpness": ImageEnhance.Sharpness,
    }[name]
    return enhance(picture).enhance(1 + 0.9 * strength)


def _sheared(height: int, width: int, x: float, y: float) -> np.ndarray:
    """Returns the map of a shear around the centre, float64 (3, 3)."""
    cx, cy = (width - 1) / 2, (height - 1) / 2
    return np.array([[1, x, -x * cy], [y, 1, -y * cx], [0, 0, 1.0]])


GEOMETRIC: dict[str, Callable[[int, int, float], np.ndarray]] = {
    "rotate": lambda h, w, s: matrix(h, w, turns=s * 30 / 360),
    "shear_x": lambda h, w, s: _sheared(h, w, 0.3 * s, 0.0),
    "shear_y": lambda h, w, s: _sheared(h, w, 0.0, 0.3 * s),
    "translate_x": lambda h, w, s: matrix(h, w, shift=(0.0, 0.3 * s)),
    "translate_y": lambda h, w, s: matrix(h, w, shift=(0.3 * s, 0.0)),
}

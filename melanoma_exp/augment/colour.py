"""Random gain, brightness, contrast, saturation and hue as one colour matrix."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.base import Step, check_ascending

Strength = Annotated[float, Field(ge=-1, le=1)]
Range = tuple[Strength, Strength]
LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
# From RGB to luma and two axes of colour around it: NTSC's YIQ, Rec. ITU-R BT.470.
YIQ = np.array([LUMA, [0.595716, -0.274453, -0.321263], [0.211456, -0.522591, 0.311135]])


class Colour(Step):
    """Changes gain, brightness, contrast, saturation, hue in turn; cuts values off once, at last.

    All are linear in the pixels and so make one 3x4 matrix: Haeberli, Matrix Operations for
    Image Processing (1993). Brightness and contrast mean what they mean in Keras'
    RandomBrightness and RandomContrast. (0, 0) changes nothing.

    Attributes:
        brightness: Added, as a share of the range 0 to 255.
        contrast: 1 + it scales the distance from the image's mean, each channel's own.
        saturation: 1 + it scales the distance from grey of the same luma; -1 is grey.
        hue: Turns colours around grey, as a share of a full turn; luma stays.
        gain: 1 + it scales a channel, each drawn by itself, as light of another colour does (von
            Kries, 1902).
    """

    kind: Literal["colour"]
    brightness: Range
    contrast: Range
    saturation: Range
    hue: Range
    gain: Range

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        check_ascending(self, "brightness", "contrast", "saturation", "hue", "gain")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image; draws four numbers, and three with gain."""
        import cv2

        bounds = np.array([self.brightness, self.contrast, self.saturation, self.hue])
        brightness, contrast, saturation, hue = random.uniform(bounds[:, 0], bounds[:, 1])
        gain = 1 + (random.uniform(*self.gain, 3) if any(self.gain) else np.zeros(3))
        mean = gain * cv2.mean(image)[:3]
        colours = matrix(brightness, contrast, saturation, hue, mean)
        colours[:, :3] *= gain
        return cv2.transform(image, colours)


def matrix(
    brightness: float, contrast: float, saturation: float, hue: float, mean: np.ndarray
) -> np.ndarray:
    """Returns the map from old to new colours, float64 (3, 4), the last column added.

    Args:
        brightness: See `Colour`, as are the next three.
        contrast: See `Colour`.
        saturation: See `Colour`.
        hue: See `Colour`.
        mean: float64 (3,), the image's mean colour, 0 to 255.
    """
    offset = -contrast * mean + 255 * brightness
    saturate = (1 + saturation) * np.eye(3) - saturation * LUMA
    c, s = np.cos(2 * np.pi * hue), np.sin(2 * np.pi * hue)
    turn = np.linalg.solve(YIQ, np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ YIQ)
    colours = turn @ saturate
    return np.column_stack([(1 + contrast) * colours, colours @ offset])

"""Random brightness, contrast and saturation, as an option of the group `augment`.

Try it: `melanoma-exp extend=examples/colour_policy.py augment=colour_jitter`
"""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.augment import Policy

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601


class ColourJitter(Policy):
    """Scales brightness, contrast and saturation, in this order, by factors around 1.

    A factor is drawn uniformly from 1 - strength to 1 + strength; a strength of 0 changes nothing.

    Attributes:
        brightness: Strength, of all values.
        contrast: Strength, of the distance to the mean luma of the image.
        saturation: Strength, of the distance of each pixel to its own luma.
    """

    kind: Literal["colour_jitter"]
    brightness: float = Field(ge=0, lt=1)
    contrast: float = Field(ge=0, lt=1)
    saturation: float = Field(ge=0, lt=1)

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image, uint8 (height, width, 3)."""
        strengths = np.array([self.brightness, self.contrast, self.saturation])
        brightness, contrast, saturation = random.uniform(1 - strengths, 1 + strengths)
        pixels = image.astype(np.float32) * np.float32(brightness)
        mean = np.float32((pixels @ LUMA).mean())
        pixels = mean + np.float32(contrast) * (pixels - mean)
        luma = (pixels @ LUMA)[..., None]
        pixels = luma + np.float32(saturation) * (pixels - luma)
        return np.clip(np.rint(pixels), 0, 255).astype(np.uint8)

"""Colour constancy: the colour of the light is estimated and taken out."""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.augment.base import Step


class ShadesOfGrey(Step):
    """Makes the Minkowski mean of an image grey.

    Finlayson and Trezzi, Shades of Gray and Colour Constancy, Color Imaging Conference 2004, found
    a power of 6 to be best; Barata et al., Improving Dermoscopy Image Classification Using Color
    Constancy, JBHI 2015, did so for skin lesions. Here it is augmentation: the network sees images
    under both the camera's light and a neutral one. Values are those of the file, gamma included.

    Attributes:
        probability: Of correcting an image.
        power: p of the mean (sum x^p / n)^(1/p): 1 is the grey world, large ones the maximum.
    """

    kind: Literal["shades_of_grey"]
    probability: float = Field(ge=0, le=1)
    power: float = Field(ge=1, le=50)

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        if random.random() >= self.probability:
            return image
        return corrected(image, self.power)


def corrected(image: np.ndarray, power: float) -> np.ndarray:
    """Returns an image whose channels have the same Minkowski mean, the three's average.

    Args:
        image: uint8 (height, width, 3).
        power: Of the mean, at least 1.
    """
    import cv2

    values = np.arange(256) / 255
    counts = [cv2.calcHist([image], [k], None, [256], [0, 256]).ravel() for k in range(3)]
    light = np.array([(count @ values**power / count.sum()) ** (1 / power) for count in counts])
    if not light.all():  # a channel is black: there is no light to take out
        return image
    table = np.clip(np.rint(255 * np.outer(values, light.mean() / light)), 0, 255)
    return cv2.LUT(image, table.astype(np.uint8)[None])

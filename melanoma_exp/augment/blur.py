"""Gaussian blur, as of an image that is out of focus."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.base import Step, check_ascending

Sigma = Annotated[float, Field(gt=0, le=20)]


class Blur(Step):
    """Smooths an image by a Gaussian of random width.

    Chen et al., A Simple Framework for Contrastive Learning of Visual Representations, ICML 2020:
    half of the images of 224 pixels, by 0.1 to 2 pixels.

    Attributes:
        probability: Of blurring at all.
        sigma: Standard deviation in pixels, drawn uniformly.
    """

    kind: Literal["blur"]
    probability: float = Field(ge=0, le=1)
    sigma: tuple[Sigma, Sigma]

    @model_validator(mode="after")
    def _bounds_ascend(self) -> Self:
        check_ascending(self, "sigma")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image; always draws two numbers."""
        import cv2

        chosen, share = random.random(2)
        if chosen >= self.probability:
            return image
        sigma = self.sigma[0] + (self.sigma[1] - self.sigma[0]) * share
        return cv2.GaussianBlur(image, (0, 0), sigma)

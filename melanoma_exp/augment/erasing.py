"""Random erasing: a box of the image is hidden."""

from typing import Annotated, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.base import Step, check_ascending

ATTEMPTS = 10  # to find a box that fits
Share = Annotated[float, Field(gt=0, le=1)]
Aspect = Annotated[float, Field(gt=0)]


class Erasing(Step):
    """Hides a box at a random position.

    Zhong et al., Random Erasing Data Augmentation, AAAI 2020. Area and aspect are drawn again, up
    to ten times, until the box fits into the image; else the image stays as it is.

    Attributes:
        probability: Of hiding a box at all.
        area: Bounds of the box's share of the image.
        aspect: Bounds of its height by its width, drawn uniformly in the logarithm, so that flat
            and upright boxes are equally likely.
        fill: What the box shows: `noise`, `mean` (the image's mean colour), or a grey, 0 to 255.
    """

    kind: Literal["erasing"]
    probability: float = Field(ge=0, le=1)
    area: tuple[Share, Share]
    aspect: tuple[Aspect, Aspect]
    fill: Literal["noise", "mean"] | Annotated[int, Field(ge=0, le=255)]

    @model_validator(mode="after")
    def _bounds_ascend(self) -> Self:
        check_ascending(self, "area", "aspect")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        import cv2

        if random.random() >= self.probability:
            return image
        rows, columns = image.shape[:2]
        for _ in range(ATTEMPTS):
            area = random.uniform(*self.area) * rows * columns
            aspect = np.exp(random.uniform(*np.log(self.aspect)))
            height, width = round(np.sqrt(area * aspect)), round(np.sqrt(area / aspect))
            if 0 < height <= rows and 0 < width <= columns:
                break
        else:
            return image
        top, left = random.integers(rows - height + 1), random.integers(columns - width + 1)
        erased = image.copy()
        box = erased[top : top + height, left : left + width]
        if self.fill == "noise":
            box[...] = random.integers(0, 256, box.shape, np.uint8)
        elif self.fill == "mean":
            box[...] = np.rint(cv2.mean(image)[:3])
        else:
            box[...] = self.fill
        return erased

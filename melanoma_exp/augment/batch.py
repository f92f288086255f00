"""Steps that mix an image with another one of its epoch, and their labels with it.

The partner is drawn from all positions of the epoch, not from the batch: a batch is the same
however it is divided among processes.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.spec import Spec
from melanoma_exp.system.extensions.group import Group


@dataclass(frozen=True)
class Mix:
    """How one image is mixed with another.

    Attributes:
        partner: The other image's position in the order of the epoch.
        share: Of the image itself in the labels, 0 to 1.
        box: Top, left, bottom, right in pixels of the part that the partner covers; None where the
            two are blended everywhere.
    """

    partner: int
    share: float
    box: tuple[int, int, int, int] | None

    def apply(self, image: np.ndarray, partner: np.ndarray) -> np.ndarray:
        """Mixes two images, both uint8 (height, width, 3); returns a new one."""
        if self.box is None:
            import cv2

            return cv2.addWeighted(image, self.share, partner, 1 - self.share, 0)
        top, left, bottom, right = self.box
        mixed = image.copy()
        mixed[top:bottom, left:right] = partner[top:bottom, left:right]
        return mixed


class BatchStep(Spec):
    """Base of all batch steps.

    Attributes:
        alpha: lambda, the share of the image itself, is drawn from Beta(alpha, alpha).
        probability: Of mixing an image at all.
    """

    alpha: float = Field(gt=0)
    probability: float = Field(ge=0, le=1)

    def draw(
        self, random: np.random.Generator, positions: int, height: int, width: int
    ) -> Mix | None:
        """Draws how one image is mixed; None leaves it as it is.

        Args:
            random: The only source of randomness.
            positions: The number of images of the epoch.
            height: Of the images in pixels.
            width: Of the images in pixels.
        """
        raise NotImplementedError


class Mixup(BatchStep):
    """Blends two images and their labels.

    Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018.
    """

    kind: Literal["mixup"]

    def draw(
        self, random: np.random.Generator, positions: int, height: int, width: int
    ) -> Mix | None:
        """Draws how one image is mixed; None leaves it as it is."""
        if random.random() >= self.probability:
            return None
        share = float(random.beta(self.alpha, self.alpha))
        return Mix(int(random.integers(positions)), share, None)


class Cutmix(BatchStep):
    """Pastes a box of another image; labels are mixed by the area of the box.

    Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features, ICCV 2019. The box has the image's shape and 1 - lambda of its area, around a centre
    that is anywhere in the image. What lies outside is cut off, and lambda corrected for it.
    """

    kind: Literal["cutmix"]

    def draw(
        self, random: np.random.Generator, positions: int, height: int, width: int
    ) -> Mix | None:
        """Draws how one image is mixed; None leaves it as it is."""
        if random.random() >= self.probability:
            return None
        side = float(np.sqrt(1 - random.beta(self.alpha, self.alpha)))
        partner = int(random.integers(positions))
        (top, bottom), (left, right) = (
            _interval(int(random.integers(length)), round(side * length), length)
            for length in (height, width)
        )
        share = 1 - (bottom - top) * (right - left) / (height * width)
        return Mix(partner, share, (top, left, bottom, right))


def _interval(centre: int, size: int, length: int) -> tuple[int, int]:
    """Returns the pixels around a centre that lie inside."""
    start = centre - size // 2
    return max(start, 0), min(start + size, length)


AnyBatchStep = Annotated[Mixup | Cutmix, Group("augment.batch", BatchStep)]

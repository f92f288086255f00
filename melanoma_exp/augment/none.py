"""No augmentation."""

from typing import Literal

import numpy as np

from melanoma_exp.augment.base import Policy


class NoAugment(Policy):
    """Every image as it is; synthetic children are plain copies."""

    kind: Literal["none"]
    online: Literal[False]

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns the image itself."""
        return image

"""The contract of augmentation: steps, and policies made of them.

A step turns one image into a random variant of it and is a pure function of the image and a
generator. A policy is a step that a run can name: an `online` one draws every training image anew
each epoch; any other one draws the synthetic children of the balancer once, before training, and
leaves originals as they are. `batch` mixes images after that.
"""

from dataclasses import dataclass

import numpy as np

from melanoma_exp.augment.batch import AnyBatchStep
from melanoma_exp.spec import Spec


class Step(Spec):
    """Base of all that varies one image."""

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image.

        Args:
            image: uint8 (height, width, 3), not changed.
            random: The only source of randomness.

        Returns:
            uint8 of the same shape.
        """
        raise NotImplementedError


def check_ascending(step: Step, *names: str) -> None:
    """Checks that the lower bound of each range comes first.

    Args:
        step: Has the ranges; None is no range.
        names: Of them.

    Raises:
        ValueError: One does not.
    """
    for name in names:
        bounds = getattr(step, name)
        if bounds is not None and bounds[0] > bounds[1]:
            raise ValueError(f"{name}: the lower bound comes first (got {list(bounds)})")


def between(bounds: tuple[float, float], share: float) -> float:
    """Returns the number that lies at a share of the way, 0 to 1, from one bound to the other."""
    return bounds[0] + (bounds[1] - bounds[0]) * share


@dataclass(frozen=True)
class Sampling:
    """How an image is resampled.

    Attributes:
        fill_mode: What lies outside: `reflect` (d c b a | a b c d), `wrap`, `constant`, `nearest`.
        fill_value: Of `constant`, 0 to 255.
        interpolation: `nearest` or `bilinear`.
    """

    fill_mode: str
    fill_value: int
    interpolation: str


class Geometric(Step):
    """Base of steps that only move pixels, by an affine map; several are fused into one."""

    def draw_matrix(self, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        """Draws the map of one image, from the same numbers as `draw`.

        Args:
            height: Of the image in pixels.
            width: Of the image in pixels.
            random: The only source of randomness.

        Returns:
            float64 (3, 3), acts on homogeneous pixel centres (x, y, 1): from a position in the
            output to the position in the input that it is read from.
        """
        raise NotImplementedError

    @property
    def sampling(self) -> Sampling | None:
        """How it resamples; None where the map takes every pixel onto another one."""
        raise NotImplementedError


class Policy(Step):
    """Base of all policies.

    Attributes:
        online: Whether training images are varied anew every epoch.
        batch: Steps that mix the images of an epoch, applied in turn.
    """

    kind: str
    online: bool
    batch: tuple[AnyBatchStep, ...]

"""A policy of several steps."""

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.augment.affine import FlipRotateZoomStep, warp
from melanoma_exp.augment.affine_step import Affine
from melanoma_exp.augment.augmentor import AugmentorStep
from melanoma_exp.augment.base import Geometric, Policy, Sampling, Step
from melanoma_exp.augment.blur import Blur
from melanoma_exp.augment.colour import Colour
from melanoma_exp.augment.dihedral import DihedralStep
from melanoma_exp.augment.erasing import Erasing
from melanoma_exp.augment.rand_augment import RandAugment
from melanoma_exp.augment.shades_of_grey import ShadesOfGrey
from melanoma_exp.system.extensions.group import Group

AnyStep = Annotated[
    FlipRotateZoomStep
    | DihedralStep
    | Affine
    | Colour
    | ShadesOfGrey
    | Blur
    | Erasing
    | RandAugment
    | AugmentorStep,
    Group("augment.steps", Step),
]


class Compose(Policy):
    """Applies steps in turn, all drawn from the image's one generator.

    Geometric steps that follow each other are multiplied into one map, so that an image is
    resampled once for all of them. Only what lies beyond the image's border differs from applying
    them one by one. Where they resample differently (`fill_mode`, `fill_value`, `interpolation`),
    a new map begins.
    """

    kind: Literal["compose"]
    steps: tuple[AnyStep, ...] = Field(min_length=1)

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        for geometric, steps in groupby(self.steps, lambda step: isinstance(step, Geometric)):
            if geometric:
                image = _moved(image, [s for s in steps if isinstance(s, Geometric)], random)
            else:
                for step in steps:
                    image = step.draw(image, random)
        return image


def _moved(
    image: np.ndarray, steps: Sequence[Geometric], random: np.random.Generator
) -> np.ndarray:
    """Returns an image after geometric steps, resampled as seldom as they allow."""
    while steps:
        sampling, fused = _fused(steps)
        if fused == 1 or sampling is None:  # exact: no map of pixels onto pixels needs resampling
            image, steps = steps[0].draw(image, random), steps[1:]
            continue
        matrix = np.eye(3)
        for step in steps[:fused]:
            matrix = matrix @ step.draw_matrix(image.shape[0], image.shape[1], random)
        image, steps = warp(image, matrix, sampling), steps[fused:]
    return image


def _fused(steps: Sequence[Geometric]) -> tuple[Sampling | None, int]:
    """Returns how the first steps resample, and how many of them do so in one way or not at all."""
    sampling = None
    for count, step in enumerate(steps):
        if step.sampling is not None and sampling not in (None, step.sampling):
            return sampling, count
        sampling = sampling or step.sampling
    return sampling, len(steps)

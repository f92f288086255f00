"""The options of the group `augment`.

A policy turns one image into a random variant of it and is a pure function of the image and a
generator. An `online` policy draws every training image anew each epoch; any other one draws the
synthetic children of the balancer once, before training, and leaves originals as they are.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.spec import Spec, did_you_mean
from melanoma_exp.system.arrays import Images

Fraction = Annotated[float, Field(ge=-1, le=1)]
Range = tuple[Fraction, Fraction]


class Policy(Spec):
    """Base of all policies."""

    kind: str
    online: bool

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image.

        Args:
            image: uint8 (height, width, 3), not changed.
            random: The only source of chance.

        Returns:
            uint8 of the same shape.
        """
        raise NotImplementedError

    def draw_many(
        self, images: Images, rows: np.ndarray, randoms: Iterable[np.random.Generator]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Draws what `draw` draws, for many images.

        Args:
            images: Gives the pixels of `rows`.
            rows: int64 (n,), may repeat.
            randoms: A source of chance for each row.

        Yields:
            The place in `rows`, 0 <= place < n, in any order, and uint8 (height, width, 3).
        """
        for place, random in enumerate(randoms):
            (image,) = images.take(rows[place : place + 1])
            yield place, self.draw(image, random)


class NoAugment(Policy):
    """Every image as it is; synthetic children are plain copies."""

    kind: Literal["none"]
    online: Literal[False]

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns the image itself."""
        return image


class FlipRotateZoom(Policy):
    """Flips, shifts, rotation and zoom with Keras' semantics, fused into one resampling.

    Factors mean what they mean in Keras' RandomFlip, RandomTranslation, RandomRotation and
    RandomZoom: a rotation is a share of a full turn; a positive zoom zooms out; shifts are shares
    of height and width. `zoom_width: null` keeps the aspect ratio. Only pixels that more than one
    step would have filled differ from applying the layers one by one.
    """

    kind: Literal["flip_rotate_zoom"]
    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    shift_height: Range
    shift_width: Range
    rotation: Range
    zoom_height: Range
    zoom_width: Range | None
    fill_mode: Literal["reflect", "wrap", "constant", "nearest"]
    fill_value: int = Field(ge=0, le=255)
    interpolation: Literal["nearest", "bilinear"]

    @model_validator(mode="after")
    def _ranges_ascend(self) -> Self:
        for name in ("shift_height", "shift_width", "rotation", "zoom_height", "zoom_width"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] > bounds[1]:
                raise ValueError(f"{name}: the lower bound comes first (got {list(bounds)})")
        for name in ("zoom_height", "zoom_width"):
            bounds = getattr(self, name)
            if bounds is not None and bounds[0] <= -1:
                raise ValueError(f"{name}: must stay above -1, where the image vanishes")
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        from melanoma_exp.augment import affine

        matrix = affine.random_matrix(self, image.shape[0], image.shape[1], random)
        return affine.warp(image, matrix, self.fill_mode, self.fill_value, self.interpolation)


class Dihedral(Policy):
    """One of the eight flips and quarter turns, all equally likely; no pixel is resampled."""

    kind: Literal["dihedral"]

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant; of an image that is not square one of the four that fit."""
        from melanoma_exp.augment import affine

        square = image.shape[0] == image.shape[1]
        turns = int(random.integers(4)) if square else 2 * int(random.integers(2))
        return affine.turned(image, turns, bool(random.integers(2)))


class Augmentor(Policy):
    """A list of operations of the Augmentor library, each with its `name` and parameters.

    A `probability` is meant as written (the library's disk pipeline adds .05 to it).
    """

    kind: Literal["augmentor"]
    operations: tuple[dict[str, Any], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _operations_exist(self) -> Self:
        from melanoma_exp.augment import augmentor

        known = augmentor.operation_names()
        for entry in self.operations:
            name = str(entry.get("name"))
            if name not in known:
                guess = did_you_mean(name, known, f"; it has {', '.join(known)}")
                raise ValueError(f"Augmentor has no operation {name}{guess}")
        augmentor.pipeline(self.operations)
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image.

        Not for threads: Augmentor's operations draw from process-wide generators, which are seeded
        from `random` here.
        """
        from melanoma_exp.augment import augmentor

        return augmentor.perform(augmentor.pipeline(self.operations), image, random)

    def draw_many(
        self, images: Images, rows: np.ndarray, randoms: Iterable[np.random.Generator]
    ) -> Iterator[tuple[int, np.ndarray]]:
        """Draws what `draw` draws; rotations by one angle cost much less together."""
        from melanoma_exp.augment import augmentor

        return augmentor.perform_many(augmentor.pipeline(self.operations), images, rows, randoms)


AnyPolicy = Annotated[
    NoAugment | FlipRotateZoom | Dihedral | Augmentor, Field(discriminator="kind")
]

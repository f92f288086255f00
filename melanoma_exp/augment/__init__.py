"""How training images are varied: the options of the group `augment`, a file each."""

from typing import Annotated

from pydantic import Field

from melanoma_exp.augment.affine import FlipRotateZoom
from melanoma_exp.augment.augmentor import Augmentor
from melanoma_exp.augment.base import Policy
from melanoma_exp.augment.dihedral import Dihedral
from melanoma_exp.augment.none import NoAugment

AnyPolicy = Annotated[
    NoAugment | FlipRotateZoom | Dihedral | Augmentor, Field(discriminator="kind")
]

__all__ = ["AnyPolicy", "Policy"]

"""How training images are varied: the options of the group `augment`, a file each."""

from typing import Annotated

from melanoma_exp.augment.affine import FlipRotateZoom
from melanoma_exp.augment.augmentor import Augmentor
from melanoma_exp.augment.base import Policy
from melanoma_exp.augment.compose import Compose
from melanoma_exp.augment.dihedral import Dihedral
from melanoma_exp.augment.none import NoAugment
from melanoma_exp.system.extensions.group import Group

AnyPolicy = Annotated[
    NoAugment | FlipRotateZoom | Dihedral | Compose | Augmentor, Group("augment", Policy)
]

__all__ = ["AnyPolicy", "Policy"]

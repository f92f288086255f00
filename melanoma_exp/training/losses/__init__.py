"""What training minimises: the options of the group `train/loss`, a file each."""

from typing import Annotated

from melanoma_exp.system.extensions.group import Group
from melanoma_exp.training.losses.base import ClassFrequencies, Loss, is_soft
from melanoma_exp.training.losses.cross_entropy import CrossEntropy
from melanoma_exp.training.losses.focal import Focal
from melanoma_exp.training.losses.ldam import Ldam
from melanoma_exp.training.losses.logit_adjusted import LogitAdjusted

AnyLoss = Annotated[CrossEntropy | Focal | LogitAdjusted | Ldam, Group("train.loss", Loss)]

__all__ = ["AnyLoss", "ClassFrequencies", "Loss", "is_soft"]

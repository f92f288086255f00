"""The options of the group `model`: networks from uint8 images (b, h, w, 3) to float32 logits."""

from typing import Annotated

from melanoma_exp.models.backbone import Backbone
from melanoma_exp.models.base import Model
from melanoma_exp.models.cnn import Cnn
from melanoma_exp.models.ensemble import Ensemble
from melanoma_exp.models.keras_hub import KerasHub
from melanoma_exp.models.resnet import ResNet
from melanoma_exp.system.extensions.group import Group

AnyModel = Annotated[Backbone | Cnn | KerasHub | ResNet | Ensemble, Group("model", Model)]

__all__ = ["AnyModel", "Ensemble", "Model"]

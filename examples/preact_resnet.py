"""A pre-activation residual network, as an option of the group `model`.

He et al., Deep Residual Learning for Image Recognition, CVPR 2016, in the order of He et al.,
Identity Mappings in Deep Residual Networks, ECCV 2016; Wu and He, Group Normalization, ECCV 2018.

Try it: `melanoma-exp extend=examples/preact_resnet.py model=preact_resnet`
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.models.base import Model

if TYPE_CHECKING:
    import keras


class PreactResNet(Model):
    """Stages of residual blocks, global average pooling and a linear head.

    Attributes:
        widths: Channels of each stage; every stage but the first halves height and width.
        blocks: Residual blocks of a stage.
        groups: Groups of channels that are normalised together; divides every width.
        dropout: Before the head.
    """

    kind: Literal["preact_resnet"]
    widths: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=1)
    blocks: int = Field(ge=1)
    groups: int = Field(ge=1)
    dropout: float = Field(ge=0, lt=1)

    @model_validator(mode="after")
    def _groups_divide_the_widths(self) -> Self:
        for width in self.widths:
            if width % self.groups:
                raise ValueError(f"groups: should divide every width (got {width})")
        return self

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        stages = " ".join(map(str, self.widths))
        return {"network": f"{self.name}, stages of width {stages}, {self.blocks} blocks each"}

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network: uint8 (b, h, w, 3) to float32 logits (b, num_classes)."""
        import keras
        from keras import layers

        images = keras.Input(image_shape, dtype="uint8", name="images")
        x = layers.Rescaling(1 / 127.5, offset=-1, name="rescale")(images)
        x = layers.Conv2D(self.widths[0], 3, padding="same", use_bias=False, name="stem")(x)
        for stage, width in enumerate(self.widths, 1):
            for block in range(1, self.blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                x = self._block(x, width, stride, f"stage{stage}_block{block}")
        x = layers.GroupNormalization(self.groups, name="norm")(x)
        x = layers.ReLU(name="relu")(x)
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        if self.dropout:
            x = layers.Dropout(self.dropout, name="dropout")(x)
        # The head stays in float32: a softmax over bfloat16 logits costs accuracy.
        logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
        return keras.Model(images, logits, name=self.name.replace("-", "_"))

    def _block(self, x: Any, width: int, stride: int, name: str) -> Any:
        """Adds a residual block; its shortcut is a 1x1 convolution where the shape changes."""
        from keras import layers

        shortcut = x
        x = layers.GroupNormalization(self.groups, name=f"{name}_norm1")(x)
        x = layers.ReLU(name=f"{name}_relu1")(x)
        if stride != 1 or shortcut.shape[-1] != width:
            shortcut = layers.Conv2D(width, 1, stride, use_bias=False, name=f"{name}_shortcut")(x)
        options = {"padding": "same", "use_bias": False}
        x = layers.Conv2D(width, 3, stride, name=f"{name}_conv1", **options)(x)
        x = layers.GroupNormalization(self.groups, name=f"{name}_norm2")(x)
        x = layers.ReLU(name=f"{name}_relu2")(x)
        x = layers.Conv2D(width, 3, name=f"{name}_conv2", **options)(x)
        return layers.Add(name=f"{name}_add")([x, shortcut])

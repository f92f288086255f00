"""The option `resnet`: stages of residual blocks, global pooling and a linear head."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.models import head
from melanoma_exp.models.base import Model, Size
from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    import keras

# ImageNet's mean and standard deviation of each channel, pixels 0 to 255.
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, le=0.99)]
Stride = Annotated[int, Field(ge=1, le=4)]


class Stem(Spec):
    """The first convolution.

    Attributes:
        filters: Its channels.
        kernel: Side of its kernel.
        stride: 2 halves height and width.
        pool: Whether a 3x3 max pool of stride 2 follows, as in the ImageNet networks.
    """

    filters: Count
    kernel: int = Field(ge=1, le=15)
    stride: Stride
    pool: bool


class ResNet(Model):
    """Stages of residual blocks, each of two 3x3 convolutions, pooling and a linear head.

    He et al., Deep Residual Learning for Image Recognition, CVPR 2016: normalisation follows each
    convolution, activation the sum. A shortcut whose shape changes is averaged over the stride,
    then a 1x1 convolution: He et al., Bag of Tricks for Image Classification, CVPR 2019 (ResNet-D).
    Weights begin as He et al., Delving Deep into Rectifiers, ICCV 2015, have them. Pixels are
    scaled by ImageNet's mean and standard deviation of each channel.

    Attributes:
        stem: The first convolution.
        widths: Channels of each stage.
        blocks: Residual blocks of each stage.
        strides: Stride of the first block of each stage.
        norm: Over the batch, or over groups of an image's channels (Wu and He, Group Normalization,
            ECCV 2018), which small batches do not disturb.
        groups: With `group`: how many groups; divides every width.
        zero_init_last: Whether the last norm of a block begins with scale 0, so that each block
            begins as its shortcut (Goyal et al., Accurate, Large Minibatch SGD, 2017).
        activation: After each norm but a block's last, and after the sum.
        squeeze_excitation: Channels are weighted by a bottleneck that is this many times narrower
            (Hu et al., Squeeze-and-Excitation Networks, CVPR 2018; 16 there). 0 is without.
        stochastic_depth: Probability that the last block is skipped for an image in training; from
            block to block it grows linearly from 0 (Huang et al., Deep Networks with Stochastic
            Depth, ECCV 2016).
        pool: How the last maps become the embedding: mean, maximum, or both side by side.
        dropout: Before the head.
    """

    kind: Literal["resnet"]
    stem: Stem
    widths: tuple[Count, ...] = Field(min_length=1)
    blocks: tuple[Count, ...]
    strides: tuple[Stride, ...]
    norm: Literal["batch", "group"]
    groups: Count
    zero_init_last: bool
    activation: Literal["relu", "silu", "gelu"]
    squeeze_excitation: int = Field(ge=0)
    stochastic_depth: Rate
    pool: head.Pool
    dropout: Rate

    @model_validator(mode="after")
    def _check_stages_and_groups(self) -> Self:
        stages = len(self.widths)
        for name in ("blocks", "strides"):
            if (count := len(getattr(self, name))) != stages:
                raise ValueError(f"{name}: expected one value a stage, {stages} (got {count})")
        for width in (self.stem.filters, *self.widths) if self.norm == "group" else ():
            if width % self.groups:
                raise ValueError(f"groups: should divide every width (got {width})")
        return self

    def check_image(self, image_size: tuple[int, int]) -> None:
        """Refuses images of which the last stage would see a single row or column.

        Raises:
            UserError: They are too small.
        """
        rows, columns = image_size
        sides = [min(image_size)]
        for stride in (self.stem.stride, 2 if self.stem.pool else 1, *self.strides):
            sides.append(-(-sides[-1] // stride))
        if sides[-1] < 2:
            raise UserError(
                f"model.strides: images of {rows}x{columns} pixels are too small, the last stage "
                f"would see {sides[-1]} of {sides[0]} rows or columns; use smaller strides, "
                "model.stem.stride=1 or a larger dataset.image_size"
            )

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        stages = ", ".join(f"{n} of {w}" for n, w in zip(self.blocks, self.widths, strict=True))
        norm = "batch norm" if self.norm == "batch" else f"group norm, {self.groups} groups"
        parts = [f"{self.name}, residual blocks {stages} channels", norm, self.activation]
        if self.squeeze_excitation:
            parts.append(f"squeeze-excitation 1/{self.squeeze_excitation}")
        if self.stochastic_depth:
            parts.append(f"stochastic depth {self.stochastic_depth:g}")
        return {
            "network": ", ".join(parts),
            "preprocessing": "pixels scaled by ImageNet's mean and standard deviation",
        }

    def stages(self, model: "keras.Model") -> list[list[str]]:
        """Groups the layers that have weights: the stem, each stage, the head."""
        starts = ["stem", *(f"stage{k + 1}" for k in range(len(self.widths))), "logits"]
        weighted = [layer.name for layer in model.layers if layer.weights]
        return [[name for name in weighted if name.split("_")[0] == start] for start in starts]

    def embedding_layer(self, model: "keras.Model") -> str:
        """Returns the pooling, whose output the head reads."""
        return "embedding"

    def size(self, image_shape: tuple[int, int, int], num_classes: int) -> Size:
        """Returns the number of weights, and the width of the pooled features."""
        norm, width = 4 if self.norm == "batch" else 2, self.stem.filters
        total = (3 * self.stem.kernel**2 + norm) * width
        for after, blocks in zip(self.widths, self.blocks, strict=True):
            for _ in range(blocks):
                total += (9 * (width + after) + 2 * norm) * after
                if self.squeeze_excitation:
                    narrow = max(after // self.squeeze_excitation, 1)
                    total += 2 * narrow * after + narrow + after
                if width != after:
                    total += (width + norm) * after
                width = after
        features = width * len(self.pool.split("_"))
        return Size(total + (features + 1) * num_classes, features)

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with fresh weights, layers named after stage and block.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes). The layer
            `embedding` gives the pooled features, float32 (b, d).

        Raises:
            UserError: The image is too small.
        """
        import keras
        from keras import layers

        self.check_image(image_shape[:2])
        images = keras.Input(image_shape, dtype="uint8", name="images")
        scale = [1 / deviation for deviation in DEVIATION]
        offset = [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)]
        x = layers.Rescaling(scale, offset, name="rescale")(images)
        x = conv(x, self.stem.filters, self.stem.kernel, self.stem.stride, "stem_conv")
        x = self._activated(self._normed(x, "stem_norm"), "stem_act")
        if self.stem.pool:
            x = layers.MaxPooling2D(3, 2, padding="same", name="stem_pool")(x)
        depth, last = 0, sum(self.blocks)
        for stage, width in enumerate(self.widths):
            for block in range(self.blocks[stage]):
                depth += 1
                stride = self.strides[stage] if block == 0 else 1
                skipped = self.stochastic_depth * depth / last
                x = self._block(x, width, stride, skipped, f"stage{stage + 1}_block{block + 1}")
        logits = head.logits(head.pooled([x], self.pool), num_classes, self.dropout)
        return keras.Model(images, logits, name=self.name.replace("-", "_"))

    def _block(self, x: Any, width: int, stride: int, skipped: float, name: str) -> Any:
        """Adds a residual block that training skips for an image with a probability."""
        from keras import layers

        shortcut = x
        x = conv(x, width, 3, stride, f"{name}_conv1")
        x = self._activated(self._normed(x, f"{name}_norm1"), f"{name}_act1")
        x = conv(x, width, 3, 1, f"{name}_conv2")
        x = self._normed(x, f"{name}_norm2", zero=self.zero_init_last)
        if self.squeeze_excitation:
            x = self._excited(x, f"{name}_se")
        if skipped:
            # One number an image: kept ones grow, so that the mean stays.
            x = layers.Dropout(skipped, noise_shape=(None, 1, 1, 1), name=f"{name}_skip")(x)
        if stride != 1:
            pool = layers.AveragePooling2D(stride, padding="same", name=f"{name}_shortcut_pool")
            shortcut = pool(shortcut)
        if shortcut.shape[-1] != width:
            shortcut = conv(shortcut, width, 1, 1, f"{name}_shortcut_conv")
            shortcut = self._normed(shortcut, f"{name}_shortcut_norm")
        return self._activated(layers.Add(name=f"{name}_add")([x, shortcut]), f"{name}_out")

    def _excited(self, x: Any, name: str) -> Any:
        """Weights the channels of each image by what its mean channels say."""
        from keras import layers

        width = x.shape[-1]
        weights = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_mean")(x)
        narrow = max(width // self.squeeze_excitation, 1)
        weights = layers.Conv2D(narrow, 1, kernel_initializer="he_normal", name=f"{name}_squeeze")(
            weights
        )
        weights = self._activated(weights, f"{name}_act")
        weights = layers.Conv2D(width, 1, activation="sigmoid", name=f"{name}_excite")(weights)
        return layers.Multiply(name=f"{name}_weighted")([x, weights])

    def _normed(self, x: Any, name: str, zero: bool = False) -> Any:
        from keras import layers

        scale = "zeros" if zero else "ones"
        if self.norm == "batch":
            return layers.BatchNormalization(gamma_initializer=scale, name=name)(x)
        return layers.GroupNormalization(self.groups, gamma_initializer=scale, name=name)(x)

    def _activated(self, x: Any, name: str) -> Any:
        from keras import layers

        return layers.Activation(self.activation, name=name)(x)


def conv(x: Any, filters: int, kernel: int, stride: int, name: str) -> Any:
    """Adds a convolution whose bias is left to the norm that follows."""
    from keras import layers

    options = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return layers.Conv2D(filters, kernel, stride, name=name, **options)(x)

"""The option `cnn`: blocks of convolutions, dense layers and a linear head, as the config says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.models.base import Model, Size
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

Norm = Literal["none", "before_pool", "after_pool"]
Padding = Literal["same", "valid"]
Rate = Annotated[float, Field(ge=0, le=0.99)]
Width = Annotated[int, Field(ge=1)]


class Cnn(Model):
    """Blocks of convolutions, each ended by a 2x2 max pool, then dense layers and a linear head.

    A field of a block or a dense layer is one value for all, or a list with one value for each.

    Attributes:
        rescale: Whether pixels are scaled to [0, 1]; some published networks forgot.
        filters: For each block the filters of its convolutions, ReLU after each.
        kernel: Side of the convolution kernels.
        padding: Padding of a block's convolutions.
        norm: Where in a block batch normalisation goes.
        dropout: After each pool.
        dense: Units of each hidden dense layer, ReLU after each.
        dense_norm: Whether batch normalisation follows a dense layer.
        dense_dropout: After each dense layer.
        head_dropout: Before the head.
        head_units: Outputs; null is one a class. One unit needs exactly two classes: its sigmoid
            is the second class's probability.
    """

    kind: Literal["cnn"]
    rescale: bool
    filters: tuple[Annotated[tuple[Width, ...], Field(min_length=1)], ...] = Field(min_length=1)
    kernel: Annotated[int, Field(ge=1, le=15)]
    padding: Padding | tuple[Padding, ...]
    norm: Norm | tuple[Norm, ...]
    dropout: Rate | tuple[Rate, ...]
    dense: tuple[Width, ...]
    dense_norm: bool | tuple[bool, ...]
    dense_dropout: Rate | tuple[Rate, ...]
    head_dropout: Rate
    head_units: Width | None

    @model_validator(mode="after")
    def _check_list_lengths(self) -> Self:
        expected = {"padding": len(self.filters), "norm": len(self.filters)}
        expected |= {"dropout": len(self.filters), "dense_norm": len(self.dense)}
        for name, count in {**expected, "dense_dropout": len(self.dense)}.items():
            value = getattr(self, name)
            if isinstance(value, tuple) and len(value) != count:
                raise ValueError(f"{name}: expected one value or {count} (got {len(value)})")
        return self

    def check_head(self, num_classes: int) -> None:
        """Refuses a head that does not fit the classes, before anything is built.

        Raises:
            UserError: It does not fit.
        """
        if self.head_units in (None, num_classes) or (self.head_units, num_classes) == (1, 2):
            return
        reason = ""
        if self.head_units == 1:
            reason = (
                ": a sigmoid reads the labels as probabilities, a softmax over one unit is always "
                "1, and those who published this saw a loss of -9e8 or exactly 0 and a constant "
                "accuracy"
            )
        raise UserError(
            f"model.head_units={self.head_units} cannot tell {num_classes} classes apart"
            f"{reason}; use null (one unit a class) or two classes (dataset.task=melanoma)"
        )

    def describe(self) -> dict[str, str]:
        """Returns rows of name and value for the plan and the model card."""
        blocks = ", ".join(str(len(filters)) for filters in self.filters)
        return {
            "network": f"{self.name}, convolutions by block {blocks}, hidden dense layers "
            f"{len(self.dense)}",
            "preprocessing": "pixels scaled to [0, 1]" if self.rescale else "none, pixels 0 to 255",
        }

    def gradcam_layer(self, model: "keras.Model") -> str:
        """Returns the name of the last convolution, before its pool and normalisation."""
        return f"block{len(self.filters)}_conv{len(self.filters[-1])}"

    def embedding_layer(self, model: "keras.Model") -> str:
        """Returns the name of the layer between the last block and the dense layers."""
        return "flatten"

    def check_image(self, image_size: tuple[int, int]) -> None:
        """Refuses images that are too small for the pools.

        Raises:
            UserError: They are.
        """
        self._last_maps(image_size)

    def _last_maps(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """Returns height and width of the last feature maps."""
        height, width = image_size
        paddings = per_item(self.padding, self.filters)
        for filters, padding in zip(self.filters, paddings, strict=True):
            lost = 0 if padding == "same" else len(filters) * (self.kernel - 1)
            if min(height, width) - lost < 2:
                raise UserError(
                    f"model.filters: images of {image_size[0]}x{image_size[1]} pixels are too "
                    f"small for {len(self.filters)} blocks; use fewer blocks or a larger "
                    "dataset.image_size"
                )
            height, width = (height - lost) // 2, (width - lost) // 2
        return height, width

    def size(self, image_shape: tuple[int, int, int], num_classes: int) -> Size:
        """Returns the number of weights, and the flat width of the last maps."""
        total, channels, (height, width) = 0, 3, self._last_maps(image_shape[:2])
        for filters, norm in zip(self.filters, per_item(self.norm, self.filters), strict=True):
            for after in filters:
                total += (self.kernel**2 * channels + 1) * after
                channels = after
            total += 4 * channels if norm != "none" else 0
        features = embedding = height * width * channels
        for units, has_norm in zip(self.dense, per_item(self.dense_norm, self.dense), strict=True):
            total += (features + 1) * units + (4 * units if has_norm else 0)
            features = units
        total += (features + 1) * (self.head_units or num_classes)
        return Size(total, embedding)

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with fresh weights, layers named after block and position.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes).

        Raises:
            UserError: The head does not fit the classes or the image is too small for the pools.
        """
        import keras
        from keras import layers

        self.check_head(num_classes)
        self.check_image(image_shape[:2])
        images = keras.Input(image_shape, dtype="uint8", name="images")
        x = layers.Rescaling(1 / 255 if self.rescale else 1.0, name="rescale")(images)
        for block in range(len(self.filters)):
            x = self._conv_block(x, block)
        x = layers.Flatten(name="flatten")(x)
        norms = per_item(self.dense_norm, self.dense)
        dropouts = per_item(self.dense_dropout, self.dense)
        for k, units in enumerate(self.dense):
            x = layers.Dense(units, activation="relu", name=f"dense{k + 1}")(x)
            if norms[k]:
                x = layers.BatchNormalization(name=f"dense{k + 1}_norm")(x)
            if dropouts[k]:
                x = layers.Dropout(dropouts[k], name=f"dense{k + 1}_dropout")(x)
        if self.head_dropout:
            x = layers.Dropout(self.head_dropout, name="head_dropout")(x)
        # The head stays in float32: a softmax over bfloat16 logits costs accuracy.
        units = self.head_units or num_classes
        logits = layers.Dense(units, dtype="float32", name="logits" if units > 1 else "logit")(x)
        if units == 1:
            # softmax over (0, z) is (1 - sigmoid(z), sigmoid(z)): one loss for every head.
            logits = layers.ZeroPadding1D((1, 0), dtype="float32", name="logits")(logits[..., None])
            logits = layers.Reshape((2,), dtype="float32", name="both")(logits)
        return keras.Model(images, logits, name=self.name.replace("-", "_"))

    def _conv_block(self, x: Any, block: int) -> Any:
        """Adds convolutions with ReLU, a 2x2 max pool, and normalisation and dropout around it."""
        from keras import layers

        filters, name = self.filters[block], f"block{block + 1}"
        padding, norm, dropout = (
            per_item(value, self.filters)[block]
            for value in (self.padding, self.norm, self.dropout)
        )
        options = {"padding": padding, "activation": "relu"}
        for k, width in enumerate(filters):
            x = layers.Conv2D(width, self.kernel, name=f"{name}_conv{k + 1}", **options)(x)
        if norm == "before_pool":
            x = layers.BatchNormalization(name=f"{name}_norm")(x)
        x = layers.MaxPooling2D(name=f"{name}_pool")(x)
        if norm == "after_pool":
            x = layers.BatchNormalization(name=f"{name}_norm")(x)
        if dropout:
            x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
        return x


def per_item(value: Any, items: Sequence[Any]) -> tuple[Any, ...]:
    """Returns one value for each item: the tuple itself, or the single value repeated."""
    return value if isinstance(value, tuple) else (value,) * len(items)

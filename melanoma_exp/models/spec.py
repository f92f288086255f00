"""The options of the group `model`.

`build` returns a Keras model from uint8 images (h, w, 3) to float32 logits, one a class. All
preprocessing is inside the model, so that nobody can rescale twice.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    import keras

Norm = Literal["none", "before_pool", "after_pool"]
Padding = Literal["same", "valid"]
Rate = Annotated[float, Field(ge=0, le=0.99)]
Width = Annotated[int, Field(ge=1)]


class Cnn(Spec):
    """Blocks of convolutions, each ended by a 2x2 max pool, then dense layers and a linear head.

    A field of a block or a dense layer is one value for all, or a list with one value for each.

    Attributes:
        name: How tables call it.
        rescale: Whether pixels are scaled to [0, 1]; some published nets forgot.
        filters: For each block the filters of its convolutions, ReLU after each.
        kernel: Side of the convolutions.
        padding: Of a block's convolutions.
        norm: Where in a block batch normalisation goes.
        dropout: After each pool.
        dense: Units of each hidden dense layer, ReLU after each.
        dense_norm: Whether batch normalisation follows a dense layer.
        dense_dropout: After each dense layer.
        head_dropout: On the features before the head, where no dense layer has its own.
        head_units: Outputs; null is one a class. One unit is for two classes alone: its sigmoid is
            the second class's probability.
    """

    kind: Literal["cnn"]
    name: str = Field(pattern=r"^[\w-]+$")
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
    def _lists_fit(self) -> Self:
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

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with fresh weights.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Raises:
            UserError: The head does not fit the classes or the image is too small for the pools.
        """
        self.check_head(num_classes)
        from melanoma_exp.models import cnn

        return cnn.build(self, image_shape, num_classes)


def each(value: Any, items: Sequence[Any]) -> tuple[Any, ...]:
    """Returns one value for each item: the tuple itself, or the single value repeated."""
    return value if isinstance(value, tuple) else (value,) * len(items)


# Further architectures join here: `Annotated[Cnn | Other, Field(discriminator="kind")]`.
AnyModel = Cnn

"""The head of residual networks and backbones: global pooling, dense layers, logits."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from melanoma_exp.models import resolutions
from melanoma_exp.models.base import Model
from melanoma_exp.models.pretrained import applications
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

Pool = Literal["avg", "max", "avg_max"]
# What names of layers say about their block: conv2_block1_, block2a_, block_1_, stage_0_block_0_,
# stack0_block1_.
BLOCK = re.compile(
    r"(?:conv\d+_|stage_\d+_|stack\d+_)?(?:blocks?_?\d+[a-z]?|expanded_conv(?:_\d+)?)(?=_)"
)
HEAD = r"embedding_norm|hidden\d+|logits"  # the layers of the head that have weights


class PooledNetwork(Model):
    """A network without its top, pooled, and dense layers on it.

    Attributes:
        levels: How many of the last resolutions are pooled and concatenated: 1 is the last feature
            maps, 2 adds those of twice the resolution before they are reduced, and so on.
        pool: Mean, maximum or both over the pixels of a feature map.
        normalize: Whether batch normalisation follows the pooled features. Features of several
            levels differ in scale by orders of magnitude; a head on a frozen network needs it.
        hidden: Units of each dense layer before the logits, ReLU after each.
        dropout: Before each dense layer, the logits' too.
    """

    levels: int = Field(ge=1, le=5)
    pool: Pool
    normalize: bool
    hidden: tuple[Annotated[int, Field(ge=1)], ...]
    dropout: float = Field(ge=0, le=0.99)

    def feature_maps(self, images: Any) -> Any:
        """Applies the network without its top, its own scaling of pixels first.

        Args:
            images: Symbolic, uint8 (b, h, w, 3).

        Returns:
            Symbolic feature maps, float (b, height, width, channels).

        Raises:
            UserError: The images are too small for it.
        """
        raise NotImplementedError

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> "keras.Model":
        """Builds the network with random weights; reads no file.

        Args:
            image_shape: Height, width, 3.
            num_classes: Number of logits, at least 2.

        Returns:
            A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes). Its layer
            `embedding` gives the pooled features, float32 (b, features).

        Raises:
            UserError: The image is too small, or there are fewer levels.
        """
        import keras
        from keras import layers

        images = keras.Input(image_shape, dtype="uint8", name="images")
        levels = resolutions.last_of_each(keras.Model(images, self.feature_maps(images)))
        if len(levels) < self.levels:
            raise UserError(f"model.levels: the network has {len(levels)} resolutions")
        x = pooled(levels[: self.levels], self.pool)
        if self.normalize:
            x = layers.BatchNormalization(dtype="float32", name="embedding_norm")(x)
        out = logits(x, num_classes, self.dropout, self.hidden)
        return keras.Model(images, out, name=self.name.replace("-", "_"))

    def describe_head(self) -> dict[str, str]:
        """Returns the row of `describe` about pooling and dense layers."""
        levels = f", {self.levels} levels" if self.levels > 1 else ""
        return {"head": f"{self.pool} pool{levels}, hidden dense layers {len(self.hidden)}"}

    def stages(self, model: "keras.Model") -> list[list[str]]:
        """Groups layers by block, where names say the block, else by resolution.

        Returns:
            Names of layers with weights, from the stem to the head.
        """
        network, groups = trunk(model), dict[str, list[str]]()
        strides = resolutions.strides(network)
        for layer in applications.weighted(network):
            block = BLOCK.search(layer.name)
            group = block.group() if block else f"stride {strides[layer.name]}"
            groups.setdefault(group, []).append(layer.name)
        last = [layer.name for layer in model.layers if re.fullmatch(HEAD, layer.name)]
        return [*groups.values(), last]

    def embedding_layer(self, model: "keras.Model") -> str:
        """Returns the name of the layer that gives the pooled features."""
        return "embedding"


def trunk(model: "keras.Model") -> "keras.Model":
    """Returns the part of a model from images to the last feature maps; it shares the layers."""
    import keras

    pool = next(layer for layer in model.layers if re.fullmatch("(avg|max)_pool1", layer.name))
    return keras.Model(model.inputs, pool.input)


def pooled(levels: Sequence[Any], pool: Pool) -> Any:
    """Pools feature maps over their pixels, and concatenates what comes of several.

    Args:
        levels: Symbolic maps, each float (b, height, width, channels).
        pool: Mean, maximum or both, in this order for each level.

    Returns:
        The output of the layer `embedding`, symbolic float32 (b, features).
    """
    from keras import layers

    kinds = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
    features = [
        kinds[name](dtype="float32", name=f"{name}_pool{k}")(maps)
        for k, maps in enumerate(levels, 1)
        for name in pool.split("_")
    ]
    if len(features) > 1:
        return layers.Concatenate(dtype="float32", name="embedding")(features)
    return layers.Identity(dtype="float32", name="embedding")(features[0])


def logits(x: Any, num_classes: int, dropout: float, hidden: Sequence[int] = ()) -> Any:
    """Adds dense layers with ReLU and the logits, each behind a dropout.

    Args:
        x: Symbolic features, float (b, features).
        num_classes: Number of logits.
        dropout: Rate; 0 adds no layer.
        hidden: Units of the layers before the logits.

    Returns:
        Symbolic, float32 (b, num_classes).
    """
    from keras import layers

    for k, units in enumerate(hidden, 1):
        if dropout:
            x = layers.Dropout(dropout, name=f"hidden{k}_dropout")(x)
        x = layers.Dense(units, activation="relu", name=f"hidden{k}")(x)
    if dropout:
        x = layers.Dropout(dropout, name="head_dropout")(x)
    # The head stays in float32: a softmax over bfloat16 logits costs accuracy.
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)

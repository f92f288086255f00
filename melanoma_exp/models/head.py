"""The head of residual networks and backbones: global pooling, dense layers, logits."""

from collections.abc import Sequence
from typing import Any, Literal

Pool = Literal["avg", "max", "avg_max"]


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

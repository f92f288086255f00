"""Builds the declarative CNN. Keras only: any backend can run it."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from melanoma_exp.models.spec import Cnn, each
from melanoma_exp.spec import UserError


def build(spec: Cnn, image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """Builds the network.

    Args:
        spec: What to build.
        image_shape: Height, width, 3.
        num_classes: Number of logits.

    Returns:
        A functional model, uint8 (b, h, w, 3) to float32 logits (b, num_classes), layers named
        after block and position.

    Raises:
        UserError: The image is too small for the blocks.
    """
    images = keras.Input(image_shape, dtype="uint8", name="images")
    scale = 1 / 255 if spec.rescale else 1.0
    x = layers.Rescaling(scale, name="rescale")(images)
    paddings, norms = each(spec.padding, spec.filters), each(spec.norm, spec.filters)
    dropouts = each(spec.dropout, spec.filters)
    for block, filters in enumerate(spec.filters):
        lost = 0 if paddings[block] == "same" else len(filters) * (spec.kernel - 1)
        if min(x.shape[1:3]) - lost < 2:
            raise UserError(
                f"model.filters: images of {image_shape[0]}x{image_shape[1]} pixels are too small "
                f"for {len(spec.filters)} blocks; use fewer blocks or a larger dataset.image_size"
            )
        x = conv_block(
            x,
            f"block{block + 1}",
            filters,
            spec.kernel,
            paddings[block],
            norms[block],
            dropouts[block],
        )
    x = layers.Flatten(name="flatten")(x)
    dense_norms, dense_dropouts = (
        each(spec.dense_norm, spec.dense),
        each(spec.dense_dropout, spec.dense),
    )
    for k, units in enumerate(spec.dense):
        x = layers.Dense(units, activation="relu", name=f"dense{k + 1}")(x)
        if dense_norms[k]:
            x = layers.BatchNormalization(name=f"dense{k + 1}_norm")(x)
        if dense_dropouts[k]:
            x = layers.Dropout(dense_dropouts[k], name=f"dense{k + 1}_dropout")(x)
    if spec.head_dropout:
        x = layers.Dropout(spec.head_dropout, name="head_dropout")(x)
    # The head stays in float32: a softmax over bfloat16 logits costs accuracy.
    units = spec.head_units or num_classes
    logits = layers.Dense(units, dtype="float32", name="logits" if units > 1 else "logit")(x)
    if units == 1:
        # softmax over (0, z) is (1 - sigmoid(z), sigmoid(z)): one loss for every head.
        logits = layers.ZeroPadding1D((1, 0), dtype="float32", name="logits")(logits[..., None])
        logits = layers.Reshape((2,), dtype="float32", name="both")(logits)
    return keras.Model(images, logits, name=spec.name.replace("-", "_"))


def conv_block(
    x: Any, name: str, filters: Sequence[int], kernel: int, padding: str, norm: str, dropout: float
) -> Any:
    """Adds convolutions with ReLU, one 2x2 max pool, and normalisation and dropout around it."""
    for k, width in enumerate(filters):
        conv = layers.Conv2D(
            width, kernel, padding=padding, activation="relu", name=f"{name}_conv{k + 1}"
        )
        x = conv(x)
    if norm == "before_pool":
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
    x = layers.MaxPooling2D(name=f"{name}_pool")(x)
    if norm == "after_pool":
        x = layers.BatchNormalization(name=f"{name}_norm")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x

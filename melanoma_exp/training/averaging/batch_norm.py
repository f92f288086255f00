"""Statistics of batch normalisation for weights that no training step has had."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melanoma_exp.training import keras_internals


def statistics(model: keras.Model) -> list[Any]:
    """Returns all running means and variances."""
    return [v for one in _layers(model) for v in (one.moving_mean, one.moving_variance)]


def estimate(model: keras.Model, batches: Any) -> None:
    """Replaces running means and variances by those over batches, in place; not of frozen layers.

    Each is the mean over the batches' own, as they would be in a training step without any weight
    changing; dropout draws too, and its seeds go on.

    Args:
        model: Built; in one process without replicas.
        batches: Elements that begin with the model's inputs.
    """
    layers = [layer for layer in _layers(model) if layer.trainable]
    variables = [v for one in layers for v in (one.moving_mean, one.moving_variance)]
    if not layers:
        return
    momenta = [layer.momentum for layer in layers]
    for layer in layers:
        layer.momentum = 0.0  # a batch's own statistics take the place of the running ones

    @tf.function(reduce_retracing=True, autograph=False)
    def forward(images: Any) -> None:
        model(images, training=True)

    sums = [np.zeros(v.shape, np.float64) for v in variables]
    count = 0
    try:
        for images, *_ in batches:
            forward(images)
            count += 1
            for total, variable in zip(sums, variables, strict=True):
                total += keras.ops.convert_to_numpy(variable)
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
    for total, variable in zip(sums, variables, strict=True):
        variable.assign((total / count).astype(np.float32))


def _layers(model: keras.Model) -> list[Any]:
    found = keras_internals.all_layers(model)
    return [layer for layer in found if isinstance(layer, keras.layers.BatchNormalization)]

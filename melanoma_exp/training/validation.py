"""Validation whose logits are needed too, because a metric of all of them is monitored."""

from functools import partial
from typing import Any

import keras
import tensorflow as tf


def return_logits(model: keras.Model) -> None:
    """Has each step of `evaluate` return its batch's logits beside the metrics, in place.

    The metrics stay those of Keras' own step, to the last bit; there is one forward pass.

    Args:
        model: Compiled, before its first `evaluate`.
    """
    if hasattr(model, "returns_logits"):  # of several replicas, whose steps gather them
        model.returns_logits = True
    else:
        model.test_step = partial(_test_step, model)


def _test_step(model: keras.Model, data: Any) -> dict[str, Any]:
    images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    logits = model(images, training=False)
    loss = model.compute_loss(images, targets, logits, weights, training=False)
    model.metrics[0].update_state(loss, sample_weight=tf.shape(images)[0])  # the mean loss
    metrics = model.compute_metrics(images, targets, logits, sample_weight=weights)
    return {**metrics, "logits": logits}

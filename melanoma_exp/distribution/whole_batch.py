"""Layers that compute on each of several replicas what one process would for the whole batch.

They use batch statistics or random values. Other layers that draw random values are refused.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from melanoma_exp.spec import UserError
from melanoma_exp.training import fused, keras_internals

_Layer: Any = keras.layers.Layer if TYPE_CHECKING else object
# Operations of TensorFlow: StatelessRandomUniformV2, RandomStandardNormal, TruncatedNormal, ...
_DRAWS = re.compile("Random|Normal|Multinomial|StatefulUniform")
_tracing = threading.local()  # replicas on one machine are traced in threads of their own


@contextmanager
def positioned(position: Any) -> Iterator[None]:
    """Tells layers within where in the global batch their rows are; see `replicated`."""
    _tracing.position = position
    try:
        yield
    finally:
        _tracing.position = None


def sum_over_replicas(values: Any) -> Any:
    """Returns the sum over all replicas; gradients are summed too."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def use_whole_batch(model: keras.Model) -> None:
    """Turns the layers of a model into those of this module, in place.

    Raises:
        UserError: Another layer draws random values: for the rows of its replica alone, so that
            results would depend on the number of replicas.
    """
    layers = {}
    for layer in keras_internals.all_layers(model):
        keras_internals.change_class(layer, WHOLE_BATCH.get(type(layer), type(layer)))
        layers[layer.name] = layer

    @tf.function(autograph=False)
    def train_without_position(inputs: Any) -> Any:
        with keras.StatelessScope():  # assigns nothing
            return model(inputs, training=True)

    # Whichever function a layer draws with, the graph of a training step shows it. Our own layers
    # draw nothing outside of a positioned step.
    specs = tuple(tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in model.inputs)
    inputs = specs if len(specs) > 1 else specs[0]
    graph = train_without_position.get_concrete_function(inputs).graph.as_graph_def()
    nodes = [*graph.node, *(node for body in graph.library.function for node in body.node_def)]
    for node in nodes:
        if _DRAWS.search(node.op):
            # TensorFlow may number the scope of a layer.
            scopes = [part for part in re.split(r"(?:_\d+)?/", node.name) if part in layers]
            what = f"layer {scopes[-1]} ({type(layers[scopes[-1]]).__name__})" if scopes else "net"
            raise UserError(
                f"model: the {what} draws random values for each replica, so that results would "
                "depend on how many there are; use distribution=single, or draw with Keras' "
                "Dropout, SpatialDropout1D to 3D, GaussianDropout or GaussianNoise"
            )


class FusedDropout(fused.Dropout):
    """Draws the mask of the whole batch and takes this replica's rows, as one process would."""

    def mask(self, shape: Any, dtype: Any) -> Any:
        """Returns what this replica's values are multiplied by."""
        position = getattr(_tracing, "position", None)
        if position is None:
            return tf.ones(shape, dtype)
        return _rows(super().mask(_whole(shape, position), dtype), shape, position)


class WholeBatchMask(_Layer):
    """Goes before a layer that multiplies by random values: they are those of the whole batch."""

    neutral, combine = staticmethod(tf.ones), staticmethod(tf.multiply)

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Multiplies; inputs float (rows, ...)."""
        position = getattr(_tracing, "position", None)
        if not training or position is None:
            return inputs
        shape = tf.shape(inputs)
        whole = super().call(self.neutral(_whole(shape, position), inputs.dtype), training=True)
        return self.combine(inputs, _rows(whole, shape, position))


class WholeBatchNoise(WholeBatchMask):
    """Goes before a layer that adds random values: they are those of the whole batch."""

    neutral, combine = staticmethod(tf.zeros), staticmethod(tf.add)


class BatchNormalization(keras_internals.BatchNormalization):
    """Normalises by the mean and variance of the whole batch, as one process would."""

    def batch_moments(self, inputs: Any, mask: Any) -> Any:
        """Returns mean and variance over all rows but placeholders, float (channels,)."""
        position = getattr(_tracing, "position", None)
        if position is None:
            return super().batch_moments(inputs, mask)
        rank = inputs.shape.rank
        axes = [axis for axis in range(rank) if axis != self.axis % rank]
        pixels = tf.size(inputs[0], tf.int64) // inputs.shape[self.axis]
        count = tf.cast(pixels * position[2], inputs.dtype)
        present = tf.cast(position[1] > 0, inputs.dtype)
        mean = sum_over_replicas(tf.reduce_sum(inputs, axes) * present) / count
        squares = tf.math.squared_difference(inputs, tf.stop_gradient(mean))
        return mean, sum_over_replicas(tf.reduce_sum(squares, axes) * present) / count


WHOLE_BATCH: dict[type, type] = {
    fused.Dropout: FusedDropout,
    keras.layers.BatchNormalization: BatchNormalization,
    fused.BatchNormalization: BatchNormalization,
    **{
        cls: type(cls.__name__, (mixin, cls), {})
        for cls, mixin in (
            (keras.layers.Dropout, WholeBatchMask),
            (keras.layers.SpatialDropout1D, WholeBatchMask),
            (keras.layers.SpatialDropout2D, WholeBatchMask),
            (keras.layers.SpatialDropout3D, WholeBatchMask),
            (keras.layers.GaussianDropout, WholeBatchMask),
            (keras.layers.GaussianNoise, WholeBatchNoise),
        )
    },
}


def _whole(shape: Any, position: Any) -> Any:
    """Returns the shape of the whole batch, from that of some of its rows."""
    return tf.concat([tf.cast(position[2:], tf.int32), tf.cast(shape, tf.int32)[1:]], 0)


def _rows(whole: Any, shape: Any, position: Any) -> Any:
    """Returns this replica's rows of values of the whole batch."""
    first = tf.cast(position[0], tf.int32)
    return whole[first : first + tf.cast(shape, tf.int32)[0]]

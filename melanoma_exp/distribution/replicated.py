"""Training steps over several replicas that compute what one process would.

Keras 3 has three flaws here (https://github.com/keras-team/keras/issues/20585, open with 3.15):
`fit` reduces a distributed batch outside of any function to learn its shape, and the scalars a step
returns along an axis that scalars do not have: both fail with MultiWorkerMirroredStrategy. And it
averages over replicas as if each had as many images, which the last batch of an epoch breaks. So
all variables are created at once, in the strategy's scope, and a step is written out here. Layers
that use batch statistics or random values compute them for the whole batch.
`tests/distribution/test_keras_20585.py` says when this file can go.

A batch is (images, targets, loss weights, position); targets are int64 (r,) or float32 (r, classes)
and position is int64 (3,): the first row of the global batch that is here, the number of its rows
that are here, and the number of all its rows.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from melanoma_exp.training import fused, keras_internals

_Layer: Any = keras.layers.Layer if TYPE_CHECKING else object
_tracing = threading.local()  # replicas on one machine are traced in threads of their own


def replicate(
    model: keras.Model, wants_to_stop: Callable[[], bool], stop: Callable[[], None]
) -> None:
    """Gives a compiled model these steps, in place; called within the strategy's scope.

    Args:
        model: Takes images and gives logits; has one metric, the accuracy.
        wants_to_stop: Whether this process does; called before every step.
        stop: Called after a step before which any process wanted to: after the same step in all of
            them, so that none waits for another.
    """
    keras_internals.change_class(model, type("Replicated", (Steps, type(model)), {}))
    for layer in keras_internals.all_layers(model):
        keras_internals.change_class(layer, WHOLE_BATCH.get(type(layer), type(layer)))
    model.wants_to_stop, model.stop = wants_to_stop, stop
    model.build_all()


class Steps(keras_internals.PrebuiltModel):
    """What `replicate` puts before a model's own class."""

    train_function: Any
    test_function: Any
    wants_to_stop: Callable[[], bool]
    stop: Callable[[], None]
    returns_logits = False  # whether steps of `evaluate` return the logits of the whole batch

    def compile(self, *args: Any, **options: Any) -> None:
        """Compiles anew and creates all variables at once; within the strategy's scope."""
        super().compile(*args, **options)
        self.build_all()

    def build_all(self) -> None:
        """Creates the variables of metrics and optimizer."""
        inputs = np.zeros((1, *self.input_shape[1:]), self.inputs[0].dtype)
        batch = inputs, np.zeros(1, np.int64), np.ones(1, np.float32)
        keras_internals.build_metrics(self, batch)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of loss scaling
        keras_internals.skip_gradient_reduction(optimizer)

    def train_step(self, data: Any, stop: Any) -> Any:
        """Trains on a replica's shard of a batch; returns metrics of all, the same everywhere."""
        images, targets, weights, position = data
        with tf.GradientTape() as tape, _positioned(position):
            predicted = self(images, training=True)
            loss = self._summand(images, targets, predicted, weights, position, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        gradients = _all_reduce(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._reduced_metrics(targets, predicted, loss, position, stop)

    def test_step(self, data: Any, stop: Any) -> Any:
        """Evaluates a replica's shard of a batch; returns metrics of all, the same everywhere."""
        images, targets, weights, position = data
        predicted = self(images, training=False)
        loss = self._summand(images, targets, predicted, weights, position, training=False)
        metrics = self._reduced_metrics(targets, predicted, loss, position, stop)
        return (metrics, _gather_rows(predicted, position)) if self.returns_logits else metrics

    def test_on_batch(self, *batch: Any) -> None:
        """Does nothing: called to create the metrics, which `replicate` has created."""

    def make_train_function(self, force: bool = False) -> None:
        """Makes what `fit` calls with an iterator of distributed batches."""
        if force or self.train_function is None:
            self.train_function = self._function(self.train_step)

    def make_test_function(self, force: bool = False) -> None:
        """Makes what `evaluate` calls with an iterator of distributed batches."""
        if force or self.test_function is None:
            self.test_function = self._function(self.test_step)

    def _function(self, step: Any) -> Any:
        strategy = self.distribute_strategy

        @tf.function(reduce_retracing=True, autograph=False)
        def run(batch: Any, stop: Any) -> Any:
            results = strategy.run(step, args=(batch, stop))
            return tf.nest.map_structure(
                lambda one: strategy.experimental_local_results(one)[0], results
            )

        def function(iterator: Any) -> dict[str, Any]:
            stop = tf.constant(self.wants_to_stop(), tf.float32)
            results = run(next(iterator), stop)
            metrics, *logits = results if isinstance(results, tuple) else (results,)
            loss, accuracy, stops = metrics.numpy()
            if stops:
                self.stop()
            return {"loss": loss, "accuracy": accuracy, **({"logits": logits[0]} if logits else {})}

        return function

    def _summand(
        self, images: Any, targets: Any, predicted: Any, weights: Any, position: Any, training: bool
    ) -> Any:
        """Returns this replica's summand of the mean loss over the global batch."""
        mean = self.compute_loss(images, targets, predicted, weights, training=training)
        replicas = self.distribute_strategy.num_replicas_in_sync  # Keras has divided by it
        share = tf.cast(position[1], mean.dtype) / tf.cast(position[2], mean.dtype)
        return mean * replicas * share

    def _reduced_metrics(
        self, targets: Any, predicted: Any, loss: Any, position: Any, stop: Any
    ) -> Any:
        """Returns running loss and accuracy, and how many processes want to stop, float (3,)."""
        here, everywhere = tf.cast(position[1], loss.dtype), tf.cast(position[2], loss.dtype)
        tracker, (accuracy,) = self.metrics[0], self.metrics[1].metrics
        # The sum over this replica's rows; without any, a row of weight 0 is the placeholder.
        tracker.update_state(tf.math.divide_no_nan(loss * everywhere, here), here)
        present = tf.cast(tf.fill(tf.shape(targets)[:1], position[1] > 0), loss.dtype)
        accuracy.update_state(targets, predicted, sample_weight=present)
        state = [tracker.total, tracker.count, accuracy.total, accuracy.count]
        state = [tf.convert_to_tensor(value) for value in state]
        sums = _all_reduce(tf.stack([*state, tf.cast(stop, state[0].dtype)]))
        return tf.stack([sums[0] / sums[1], sums[2] / sums[3], sums[4]])


class FusedDropout(fused.Dropout):
    """Draws the mask of the whole batch and takes this replica's rows, as one process would."""

    def mask(self, shape: Any, dtype: Any) -> Any:
        """Returns what this replica's values are multiplied by."""
        position = getattr(_tracing, "position", None)
        if position is None:
            return super().mask(shape, dtype)
        return _rows(super().mask(_whole(shape, position), dtype), shape, position)


class WholeBatchMask(_Layer):
    """Goes before a layer that multiplies by random values: they are those of the whole batch."""

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Multiplies; inputs float (rows, ...)."""
        position = getattr(_tracing, "position", None)
        if not training or position is None:
            return super().call(inputs, training=training)
        shape = tf.shape(inputs)
        ones = tf.ones(_whole(shape, position), inputs.dtype)
        return inputs * _rows(super().call(ones, training=True), shape, position)


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
        mean = _all_reduce(tf.reduce_sum(inputs, axes) * present) / count
        squares = tf.math.squared_difference(inputs, tf.stop_gradient(mean))
        return mean, _all_reduce(tf.reduce_sum(squares, axes) * present) / count


WHOLE_BATCH: dict[type, type] = {
    fused.Dropout: FusedDropout,
    keras.layers.BatchNormalization: BatchNormalization,
    fused.BatchNormalization: BatchNormalization,
    **{
        cls: type(cls.__name__, (WholeBatchMask, cls), {})
        for cls in (
            keras.layers.Dropout,
            keras.layers.SpatialDropout1D,
            keras.layers.SpatialDropout2D,
            keras.layers.GaussianDropout,
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


def _all_reduce(values: Any) -> Any:
    """Returns the sum over all replicas; gradients are summed too."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def _gather_rows(values: Any, position: Any) -> Any:
    """Returns the rows of the whole batch: each replica adds its own to the others' zeros."""
    first, here, total = position[0], position[1], position[2]
    around = tf.cast([[first, total - first - here], [0, 0]], tf.int32)
    return _all_reduce(tf.pad(values[:here], around))


@contextmanager
def _positioned(position: Any) -> Iterator[None]:
    _tracing.position = position
    try:
        yield
    finally:
        _tracing.position = None

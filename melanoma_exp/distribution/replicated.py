"""A Keras model whose steps over several replicas compute what one process would.

Keras 3 has three flaws here (https://github.com/keras-team/keras/issues/20585, open with 3.15):
`fit` reduces a distributed batch outside of any function to learn its shape, and the scalars a step
returns along an axis that scalars do not have: both fail with MultiWorkerMirroredStrategy. And it
averages over replicas as if each had as many images, which the last batch of an epoch breaks. So
all that is built lazily is built at once, in the strategy's scope, and a step is written out here.
Layers that look at more than one image, or draw, do so for the whole batch.
`tests/distribution/test_keras_20585.py` says when this file can go.

A batch is (images, labels, loss weights, place); place is int64 (3,): the first row of the global
batch that is here, the number of its rows that are here, and the number of all its rows.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf

from melanoma_exp.training import fused

_Model: Any = keras.Model if TYPE_CHECKING else object
_tracing = threading.local()  # replicas on one machine are traced in threads of their own


def replicate(
    model: keras.Model, wants_to_stop: Callable[[], bool], stop: Callable[[], None]
) -> None:
    """Gives a compiled model these steps, in place; called within the strategy's scope.

    Args:
        model: Takes images and gives logits; has one metric, the accuracy. `fused.fuse` knows it.
        wants_to_stop: Whether this process does, asked before every step.
        stop: Called after a step before which any process wanted to: after the same step in all of
            them, so that none waits for another.
    """
    model.__class__ = type("Replicated", (Steps, type(model)), {})
    for layer in model._flatten_layers():
        layer.__class__ = EXACT.get(type(layer), type(layer))
    model.wants_to_stop, model.stop = wants_to_stop, stop
    images = np.zeros((1, *model.input_shape[1:]), np.uint8)
    model._symbolic_build(data_batch=(images, np.zeros(1, np.int64), np.ones(1, np.float32)))
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # of loss scaling
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs  # `train_step` has done so


class Steps(_Model):
    """What `replicate` puts before a model's own class."""

    train_function: Any
    test_function: Any
    wants_to_stop: Callable[[], bool]
    stop: Callable[[], None]

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Does nothing: `replicate` has built everything."""

    def train_step(self, data: Any, stop: Any) -> Any:
        """Learns from a replica's part of a batch; returns figures of all, alike everywhere."""
        images, labels, weights, place = data
        with tf.GradientTape() as tape, _rows(place):
            predicted = self(images, training=True)
            loss = self._part_of_loss(labels, predicted, weights, place)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        gradients = _sum(gradients)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        return self._figures(labels, predicted, loss, place, stop)

    def test_step(self, data: Any, stop: Any) -> Any:
        """Judges a replica's part of a batch; returns figures of all, alike everywhere."""
        images, labels, weights, place = data
        predicted = self(images, training=False)
        loss = self._part_of_loss(labels, predicted, weights, place)
        return self._figures(labels, predicted, loss, place, stop)

    def test_on_batch(self, *batch: Any) -> None:
        """Does nothing: called to build what `replicate` has built."""

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
            figures = strategy.run(step, args=(batch, stop))
            return strategy.experimental_local_results(figures)[0]

        def function(iterator: Any) -> dict[str, float]:
            stop = tf.constant(self.wants_to_stop(), tf.float32)
            loss, accuracy, stops = run(next(iterator), stop).numpy()
            if stops:
                self.stop()
            return {"loss": loss, "accuracy": accuracy}

        return function

    def _part_of_loss(self, labels: Any, predicted: Any, weights: Any, place: Any) -> Any:
        """Returns this replica's summand of the mean loss over the global batch."""
        mean = self._compute_loss(y=labels, y_pred=predicted, sample_weight=weights)
        replicas = self.distribute_strategy.num_replicas_in_sync  # Keras has divided by it
        share = tf.cast(place[1], mean.dtype) / tf.cast(place[2], mean.dtype)
        return mean * replicas * share

    def _figures(self, labels: Any, predicted: Any, loss: Any, place: Any, stop: Any) -> Any:
        """Counts this replica's rows; returns the epoch's loss and accuracy so far, and stops."""
        here, everywhere = tf.cast(place[1], loss.dtype), tf.cast(place[2], loss.dtype)
        # The sum over this replica's rows; without any, a row of weight 0 stands in for them.
        self._loss_tracker.update_state(tf.math.divide_no_nan(loss * everywhere, here), here)
        accuracy = self._compile_metrics.metrics[0]
        present = tf.cast(tf.fill(tf.shape(labels), place[1] > 0), loss.dtype)
        accuracy.update_state(labels, predicted, sample_weight=present)
        state = [self._loss_tracker.total, self._loss_tracker.count, accuracy.total, accuracy.count]
        state = [tf.convert_to_tensor(value) for value in state]
        sums = _sum(tf.stack([*state, tf.cast(stop, state[0].dtype)]))
        return tf.stack([sums[0] / sums[1], sums[2] / sums[3], sums[4]])


class Dropout(fused.Dropout):
    """Draws the mask of the whole batch and takes this replica's rows, as one process would."""

    def mask(self, shape: Any, dtype: Any) -> Any:
        """Returns what this replica's values are multiplied by."""
        place = getattr(_tracing, "place", None)
        if place is None:
            return super().mask(shape, dtype)
        rows, shape = tf.cast(place, tf.int32), tf.cast(shape, tf.int32)
        whole = super().mask(tf.concat([rows[2:], shape[1:]], 0), dtype)
        return whole[rows[0] : rows[0] + shape[0]]


class BatchNormalization(keras.layers.BatchNormalization):
    """Normalises by the mean and variance of the whole batch, as one process would."""

    def _moments(self, inputs: Any, mask: Any) -> Any:
        """Returns mean and variance over all rows but those that stand in, float (channels,)."""
        place = getattr(_tracing, "place", None)
        if place is None:
            return super()._moments(inputs, mask)
        shape = tf.shape(inputs, tf.int64)
        count = tf.cast(tf.reduce_prod(shape[1:-1]) * place[2], inputs.dtype)
        present = tf.cast(place[1] > 0, inputs.dtype)
        mean = _sum(tf.reduce_sum(inputs, self._reduction_axes) * present) / count
        squares = tf.math.squared_difference(inputs, tf.stop_gradient(mean))
        return mean, _sum(tf.reduce_sum(squares, self._reduction_axes) * present) / count


EXACT: dict[type, type] = {
    fused.Dropout: Dropout,
    keras.layers.BatchNormalization: BatchNormalization,
}


def _sum(values: Any) -> Any:
    """Returns the sum over all replicas; gradients are summed too."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


@contextmanager
def _rows(place: Any) -> Iterator[None]:
    _tracing.place = place
    try:
        yield
    finally:
        _tracing.place = None

"""Training steps over several replicas that compute what one process would.

Keras 3 has three flaws here (https://github.com/keras-team/keras/issues/20585, open with 3.15):
`fit` reduces a distributed batch outside of any function to learn its shape, and the scalars a step
returns along an axis that scalars do not have: both fail with MultiWorkerMirroredStrategy. And it
averages over replicas as if each had as many images, which the last batch of an epoch breaks. So
all variables are created at once, in the strategy's scope, and a step is written out here.
`tests/distribution/test_keras_20585.py` says when this file can go.

A batch is (images, targets, loss weights, position), with a pair of images and metadata in the
place of images where the network takes both; targets are int64 (r,) or float32 (r, classes)
and position is int64 (3,): the first row of the global batch that is here, the number of its rows
that are here, and the number of all its rows.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melanoma_exp.distribution.whole_batch import (
    positioned,
    sum_over_replicas,
    use_whole_batch,
)
from melanoma_exp.training import keras_internals


def replicate(
    model: keras.Model, wants_to_stop: Callable[[], bool], stop: Callable[[], None]
) -> None:
    """Gives a compiled model these steps, in place; called within the strategy's scope.

    Args:
        model: Takes images and gives logits; has one metric, the accuracy.
        wants_to_stop: Whether this process does; called before every step.
        stop: Called after a step before which any process wanted to: after the same step in all of
            them, so that none waits for another.

    Raises:
        UserError: A layer draws random values that would differ from those of one process.
    """
    keras_internals.change_class(model, type("Replicated", (Steps, type(model)), {}))
    use_whole_batch(model)
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
        rows = tuple(np.zeros((1, *x.shape[1:]), x.dtype) for x in self.inputs)
        inputs = rows if len(rows) > 1 else rows[0]
        batch = inputs, np.zeros(1, np.int64), np.ones(1, np.float32)
        keras_internals.build_metrics(self, batch)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)  # of loss scaling
        keras_internals.skip_gradient_reduction(optimizer)

    def train_step(self, data: Any, stop: Any) -> Any:
        """Trains on a replica's shard of a batch; returns metrics of all, the same everywhere."""
        images, targets, weights, position = data
        with tf.GradientTape() as tape, positioned(position):
            predicted = self(images, training=True)
            loss = self._summand(images, targets, predicted, weights, position, training=True)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        gradients = sum_over_replicas(gradients)
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
        sums = sum_over_replicas(tf.stack([*state, tf.cast(stop, state[0].dtype)]))
        return tf.stack([sums[0] / sums[1], sums[2] / sums[3], sums[4]])


def _gather_rows(values: Any, position: Any) -> Any:
    """Returns the rows of the whole batch: each replica adds its own to the others' zeros."""
    first, here, total = position[0], position[1], position[2]
    around = tf.cast([[first, total - first - here], [0, 0]], tf.int32)
    return sum_over_replicas(tf.pad(values[:here], around))

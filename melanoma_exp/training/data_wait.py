"""Measures how long training steps wait for their batches."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class DataWait:
    """Seconds between requesting a batch and receiving it.

    Attributes:
        first: For the first batch, including the start of the input pipeline.
        later: For all other batches together.
        batches: How many were received.
    """

    first: float = 0.0
    later: float = 0.0
    batches: int = 0

    def add(self, seconds: float) -> None:
        """Adds one batch."""
        if self.batches:
            self.later += seconds
        else:
            self.first = seconds
        self.batches += 1

    def measure(self, batches: "tf.data.Dataset") -> "tf.data.Dataset":
        """Returns a dataset of the same batches that measures the wait for each.

        Keras takes batches inside a compiled function, out of Python's sight; so the clock is read
        in the input pipeline: `zip` reads it first and then requests the batch.
        """
        import tensorflow as tf

        def stamp(number: int) -> float:
            return time.perf_counter()

        def record(requested: float) -> None:
            self.add(float(time.perf_counter() - requested))

        def measured(
            requested: "tf.Tensor", batch: tuple["tf.Tensor", ...]
        ) -> tuple["tf.Tensor", ...]:
            with tf.control_dependencies([tf.numpy_function(record, [requested], [])]):
                return tf.nest.map_structure(tf.identity, batch)

        stamps = tf.data.Dataset.counter().map(lambda n: tf.numpy_function(stamp, [n], tf.float64))
        options = tf.data.Options()
        # By default TensorFlow adds a thread that prefetches: its wait is not the model's.
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.zip(stamps, batches).map(measured).with_options(options)

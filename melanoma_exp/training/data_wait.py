"""How long training steps wait for their batches."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow as tf


@dataclass
class Waits:
    """Seconds between asking for a batch and having it.

    Attributes:
        starting: Of the first batch, for which the input path has to start.
        later: Of all the others together.
        batches: How many were given.
    """

    starting: float = 0.0
    later: float = 0.0
    batches: int = 0

    def add(self, seconds: float) -> None:
        """Takes in one batch."""
        if self.batches:
            self.later += seconds
        else:
            self.starting = seconds
        self.batches += 1

    def over(self, batches: "tf.data.Dataset") -> "tf.data.Dataset":
        """Returns a dataset of the same batches that measures how long each was waited for.

        Keras takes batches inside a compiled function, out of Python's sight; so the clock is read
        in the input path: `zip` reads it first and then asks for the batch.
        """
        import tensorflow as tf

        def stamp(number: int) -> float:
            return time.perf_counter()

        def note(asked: float) -> None:
            self.add(float(time.perf_counter() - asked))

        def measured(asked: "tf.Tensor", batch: tuple["tf.Tensor", ...]) -> tuple["tf.Tensor", ...]:
            with tf.control_dependencies([tf.numpy_function(note, [asked], [])]):
                return tuple(tf.identity(part) for part in batch)

        stamps = tf.data.Dataset.counter().map(lambda n: tf.numpy_function(stamp, [n], tf.float64))
        options = tf.data.Options()
        # By default TensorFlow adds a thread that asks ahead: its waiting is not the model's.
        options.experimental_optimization.inject_prefetch = False
        return tf.data.Dataset.zip(stamps, batches).map(measured).with_options(options)

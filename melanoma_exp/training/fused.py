"""Dropout and Adam as Keras defines them, in fewer passes over memory.

The classes have Keras' names, after which weights and optimizer states are stored, and take Keras'
place in training only: a network that is built to predict or to export has Keras' own.
"""

from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

_AnyAdam: Any = keras.optimizers.Adam if TYPE_CHECKING else object


def fuse(model: keras.Model) -> None:
    """Has the model's dropout layers draw as `Dropout` does, in place."""
    for layer in model._flatten_layers():
        if type(layer) is keras.layers.Dropout:
            layer.__class__ = Dropout


class Dropout(keras.layers.Dropout):
    """Draws eight random bits a value, where Keras draws 32 and makes a float of them.

    256 levels do not hold a rate such as 0.2, so that each mask takes the level below it or the one
    above, by chance: each value is dropped with the probability `rate`, to 2**-32. `rate` is at
    most 255/256.
    """

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drops out; inputs float (rows, ...)."""
        if not training or not self.rate:
            return inputs
        return inputs * self.mask(tf.shape(inputs), inputs.dtype)

    def mask(self, shape: Any, dtype: Any) -> Any:
        """Returns what values of this shape are multiplied by: 0, or 1 / (1 - rate)."""
        count = tf.reduce_prod(shape)
        words = tf.random.stateless_uniform(
            [1 + (count + 3) // 4], tf.cast(self.seed_generator.next(), tf.int32),
            minval=None, maxval=None, dtype=tf.uint32,
        )  # fmt: skip
        level, rest = divmod(self.rate * 256, 1)
        raised = words[0] < tf.constant(int(rest * 2**32), tf.uint32)
        level = tf.cast(int(level), tf.uint8) + tf.cast(raised, tf.uint8)
        drawn = tf.reshape(tf.reshape(tf.bitcast(words[1:], tf.uint8), [-1])[:count], shape)
        return tf.cast(drawn >= level, dtype) * tf.cast(1 / (1 - self.rate), dtype)


class _OneOperation(_AnyAdam):
    """Updates a variable and its two moments in one pass of TensorFlow's own."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies a gradient to a variable; called within the scope of its device."""
        index, dtype = self._get_variable_index(variable), variable.dtype
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=tf.cast(self.beta_1, dtype) ** step,
            beta2_power=tf.cast(self.beta_2, dtype) ** step,
            lr=tf.cast(learning_rate, dtype),
            beta1=tf.cast(self.beta_1, dtype),
            beta2=tf.cast(self.beta_2, dtype),
            epsilon=tf.cast(self.epsilon, dtype),
            grad=tf.cast(gradient, dtype),
        )


class Adam(_OneOperation, keras.optimizers.Adam):
    """Adam without AMSGrad."""


class AdamW(_OneOperation, keras.optimizers.AdamW):
    """AdamW without AMSGrad."""

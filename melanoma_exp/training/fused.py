"""Dropout, ReLU, batch norm and Adam of Keras in fewer passes over memory (`train.fused`).

The classes have Keras' names, after which weights and optimizer states are stored, and replace
Keras' in training only: a network that is built to predict or to export has Keras' own.
"""

from typing import Any

import keras
import tensorflow as tf

from melanoma_exp.training import keras_internals

MAX_RATE = 255 / 256  # of a dropout that is fused
FUSED_NORM = ("float32", "bfloat16", "float16")  # what TensorFlow's operation computes in


def fuse(model: keras.Model) -> None:
    """Replaces dropout and batch norm by the classes below, moves ReLUs behind pools; in place."""
    for layer in keras_internals.all_layers(model):
        if type(layer) is keras.layers.Dropout:
            if layer.noise_shape is None and layer.rate <= MAX_RATE:
                keras_internals.change_class(layer, Dropout)
        elif type(layer) is keras.layers.MaxPooling2D and (conv := _rectified(layer)):
            conv.activation = keras.activations.linear
            keras_internals.change_class(layer, RectifiedMaxPooling2D)
        elif type(layer) is keras.layers.BatchNormalization and _is_plain(layer):
            keras_internals.change_class(layer, BatchNormalization)


def _rectified(pool: keras.layers.Layer) -> keras.layers.Layer | None:
    """Returns the convolution with ReLU whose output goes to a pool and nowhere else."""
    conv = keras_internals.only_producer(pool)
    rectifies = getattr(conv, "activation", None) is keras.activations.relu
    return conv if type(conv) is keras.layers.Conv2D and rectifies else None


def _is_plain(norm: keras.layers.BatchNormalization) -> bool:
    """Whether a batch norm is one of channels of maps, with scale and offset and no more."""
    spec = norm.input_spec
    maps = spec is not None and spec.ndim == 4 and norm.axis in (-1, 3)
    extended = norm.renorm or norm.synchronized
    return maps and norm.scale and norm.center and not extended and norm.compute_dtype in FUSED_NORM


class RectifiedMaxPooling2D(keras.layers.MaxPooling2D):
    """Applies ReLU after pooling, to a quarter of the values.

    The maximum of rectified values is the rectified maximum: values and gradients equal those of
    the other order, to the last bit.
    """

    def call(self, inputs: Any) -> Any:
        """Pools and rectifies; inputs float (rows, height, width, channels)."""
        return tf.nn.relu(super().call(inputs))


class Dropout(keras.layers.Dropout):
    """Draws eight random bits a value, where Keras draws 32 and converts them to a float.

    256 levels do not hold a rate such as 0.2, so each mask takes the level below it or the one
    above, at random: each value is dropped with the probability `rate`, to 2**-32.
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
            [1 + (count + 3) // 4],
            tf.cast(self.seed_generator.next(), tf.int32),
            minval=None,
            maxval=None,
            dtype=tf.uint32,
        )
        level, rest = divmod(self.rate * 256, 1)
        raised = words[0] < tf.constant(int(rest * 2**32), tf.uint32)
        level = tf.cast(int(level), tf.uint8) + tf.cast(raised, tf.uint8)
        drawn = tf.reshape(tf.reshape(tf.bitcast(words[1:], tf.uint8), [-1])[:count], shape)
        return tf.cast(drawn >= level, dtype) * tf.cast(1 / (1 - self.rate), dtype)


class BatchNormalization(keras.layers.BatchNormalization):
    """Normalises a training batch in one operation of TensorFlow, where Keras has a dozen.

    Both compute in float32; under mixed precision Keras writes float32 copies of the maps for it.
    """

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Normalises; inputs float (rows, height, width, channels)."""
        if not training or not self.trainable or mask is not None:
            return super().call(inputs, training=training, mask=mask)
        none = tf.constant([], tf.float32)
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=none,
            variance=none,
            epsilon=self.epsilon,
            is_training=True,
        )
        count = tf.cast(tf.size(inputs) // inputs.shape[-1], tf.float32)
        variance *= (count - 1) / count  # the operation's is that of a sample, Keras' the batch's
        for moving, value in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + value * (1.0 - self.momentum))
        return outputs


class _OneOperation(keras_internals.AdamState):
    """Updates a variable and its two moments in one operation of TensorFlow."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies a gradient to a variable; called within the scope of its device."""
        dtype = variable.dtype
        first, second = self.moments(variable)
        step = tf.cast(self.iterations + 1, dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=first.value.handle,
            v=second.value.handle,
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

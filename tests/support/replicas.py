"""Trains a net in float64 on one device and on several, and prints how far the weights are apart.

In float64 rounding is far below what any other arithmetic would make of it. The devices are parts
of the CPU, hence a process of its own: REPLICAS.
"""

import sys
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from melanoma_exp.distribution.replicated import replicate
from melanoma_exp.distribution.sharding import shard_bounds
from melanoma_exp.training.fused import fuse

ROWS = (9, 7, 2, 1)  # of the batches of an epoch: replicas with unequal parts, and without any
EPOCHS = 2


def make() -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPool2D(),
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.Dense(3),
        ]
    )
    fuse(model)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )
    return model


def part(batch: Any, replica: int, replicas: int) -> tuple[Any, ...]:
    first, last = shard_bounds(replica, replicas, len(batch[0]))
    place = tf.constant([first, last - first, len(batch[0])], tf.int64)
    first, last = (0, 1) if first == last else (first, last)
    return *(tf.constant(values[first:last]) for values in batch), place


def main(replicas: int) -> None:
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * replicas
    tf.config.set_logical_device_configuration(cpu, devices)
    keras.config.set_floatx("float64")
    random = np.random.default_rng(0)
    batches = [
        (
            random.integers(0, 256, (rows, 8, 8, 3)).astype(np.uint8),
            random.integers(0, 3, rows),
            random.uniform(0.5, 2, rows),
        )
        for rows in ROWS * EPOCHS
    ]
    one = make()
    for batch in batches:
        one.train_on_batch(*batch)
    strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)])
    with strategy.scope():
        many = make()
        replicate(many, lambda: False, lambda: None)
        many.make_train_function()
        many.returns_logits = True
        many.make_test_function()
    give = strategy.experimental_distribute_values_from_function
    for batch in batches:
        parts = [part(batch, replica, replicas) for replica in range(replicas)]
        given = [
            give(lambda context, of=of: of[context.replica_id_in_sync_group])
            for of in zip(*parts, strict=True)
        ]
        many.train_function(iter([tuple(given)]))
        logits = many.test_function(iter([tuple(given)]))["logits"].numpy()
        # Rows of all replicas in order; the batch's own order shows in labels and images alike.
        np.testing.assert_allclose(logits, many(batch[0], training=False), atol=1e-12)
    pairs = zip(one.get_weights(), many.get_weights(), strict=True)
    print(max(float(np.abs(mine - theirs).max()) for mine, theirs in pairs))


if __name__ == "__main__":
    main(int(sys.argv[1]))

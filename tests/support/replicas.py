"""Trains a net in float64 on one device and on several, and prints how far the weights are apart.

Once as runs train, once with soft targets on the replicas, once with Keras' own layers. In float64
rounding is far below what any other arithmetic would make of it. Then it prints what Keras alone
makes of a batch norm and of a clipped step. The devices are parts of the CPU, hence a process of
its own: REPLICAS.
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
from melanoma_exp.training.losses.base import ClassFrequencies
from melanoma_exp.training.losses.cross_entropy import CrossEntropy
from melanoma_exp.training.optim import Accuracy, Loss

ROWS = (9, 7, 2, 1)  # of the batches of an epoch: replicas with unequal shards, and without any
EPOCHS = 2


def make(fused: bool) -> keras.Model:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3), dtype="uint8"),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPool2D(),
            layers.SpatialDropout2D(0.3),
            layers.Dropout(0.3, noise_shape=(None, 1, 1, 1)),  # of stochastic depth
            layers.Dropout(0.2),
            layers.Flatten(),
            layers.Dense(8, "relu"),
            layers.BatchNormalization(),
            layers.Dropout(0.5),
            layers.GaussianDropout(0.1),
            layers.GaussianNoise(0.1),
            layers.Dense(3),
        ]
    )
    if fused:
        fuse(model)
    model.compile(
        keras.optimizers.SGD(0.1, momentum=0.9, global_clipnorm=0.5),
        Loss(CrossEntropy(kind="cross_entropy", label_smoothing=0.0), ClassFrequencies.equal(3)),
        metrics=[Accuracy(name="accuracy")],
        jit_compile=False,
    )
    return model


def shard(batch: Any, replica: int, replicas: int) -> tuple[Any, ...]:
    first, last = shard_bounds(replica, replicas, len(batch[0]))
    position = tf.constant([first, last - first, len(batch[0])], tf.int64)
    first, last = (0, 1) if first == last else (first, last)
    return *(tf.constant(values[first:last]) for values in batch), position


def difference(strategy: Any, batches: list[tuple[Any, ...]], fused: bool, soft: bool) -> float:
    """The largest of weights and, of each step, of loss and accuracy."""
    replicas = strategy.num_replicas_in_sync
    one = make(fused)
    with strategy.scope():
        many = make(fused)
        replicate(many, lambda: False, lambda: None)
        many.make_train_function()
        many.returns_logits = True
        many.make_test_function()
    give = strategy.experimental_distribute_values_from_function
    metrics = []
    for images, labels, weights in batches:
        one.reset_metrics()
        many.reset_metrics()
        ours = one.train_on_batch(images, labels, weights, return_dict=True)
        targets = np.eye(3)[labels] if soft else labels
        shards = [shard((images, targets, weights), k, replicas) for k in range(replicas)]
        given = [
            give(lambda context, of=of: of[context.replica_id_in_sync_group])
            for of in zip(*shards, strict=True)
        ]
        theirs = many.train_function(iter([tuple(given)]))
        logits = many.test_function(iter([tuple(given)]))["logits"].numpy()
        # Rows of all replicas in order; the batch's own order shows in labels and images alike.
        np.testing.assert_allclose(logits, many(images, training=False), atol=1e-12)
        metrics += [abs(float(ours[name]) - float(theirs[name])) for name in ("loss", "accuracy")]
    pairs = zip(one.get_weights(), many.get_weights(), strict=True)
    return max(*metrics, *(float(np.abs(mine - theirs).max()) for mine, theirs in pairs))


def keras_alone(strategy: Any) -> tuple[float, float]:
    """How far masked batch norm and a clipped step are from those of the whole batch."""
    give = strategy.experimental_distribute_values_from_function
    rows = [np.zeros((3, 1)), np.ones((1, 1))]
    with strategy.scope():
        norm = layers.BatchNormalization(momentum=0.0, synchronized=True)
        norm.build((None, 1))
        optimizer, weight = keras.optimizers.SGD(1.0, global_clipnorm=1.0), keras.Variable([0.0])
        optimizer.build([weight])

    @tf.function
    def step() -> None:
        here = give(lambda context: tf.constant(rows[context.replica_id_in_sync_group]))

        def normalise(x: Any) -> Any:
            return norm(x, training=True, mask=tf.ones(tf.shape(x)[:1], bool))

        strategy.run(normalise, args=(here,))
        strategy.run(lambda: optimizer.apply([tf.constant([2.0], tf.float64)], [weight]))

    step()
    mean = float(keras.ops.convert_to_numpy(norm.moving_mean)[0])
    return abs(mean - 0.25), abs(float(keras.ops.convert_to_numpy(weight)[0]) + 1)


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
    strategy = tf.distribute.MirroredStrategy([f"CPU:{k}" for k in range(replicas)])
    print(
        difference(strategy, batches, fused=True, soft=False),
        difference(strategy, batches, fused=True, soft=True),
        difference(strategy, batches, fused=False, soft=False),
        *(keras_alone(strategy) if replicas == 2 else ()),
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))

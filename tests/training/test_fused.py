"""Dropout, ReLU, batch norm, Adam in fewer passes give what Keras gives, or draw as it would."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from melanoma_exp.training import fused


def dropout(rate: float, seed: int = 1) -> keras.layers.Dropout:
    inputs = keras.Input((None,))
    layer = keras.layers.Dropout(rate, seed=seed)
    fused.fuse(keras.Model(inputs, layer(inputs)))
    assert type(layer) is fused.Dropout
    return layer


@pytest.mark.parametrize("options", [{"rate": 0.999}, {"rate": 0.5, "noise_shape": (None, 1)}])
def test_what_it_cannot_draw_keras_draws(options: dict) -> None:
    inputs = keras.Input((3,))
    layer = keras.layers.Dropout(**options)
    fused.fuse(keras.Model(inputs, layer(inputs)))
    assert type(layer) is keras.layers.Dropout


@pytest.mark.parametrize("rate", [0.001, 0.2, 0.5, 0.99])
def test_every_value_is_dropped_with_the_rate_and_no_other(rate: float) -> None:
    layer, steps, values = dropout(rate), 1000, 40_000
    ones = tf.ones((100, values // 100))
    draw = tf.function(lambda: tf.reduce_mean(tf.cast(layer(ones, training=True) == 0, tf.float64)))
    share = float(np.mean([draw() for _ in range(steps)]))
    # Of values within a step, and of the step's level, 1/256 apart.
    error = np.sqrt(rate * (1 - rate) / (steps * values) + (0.5 / 256) ** 2 / steps)
    assert abs(share - rate) < 4 * error


def test_a_nearest_level_of_256_would_be_seen() -> None:
    assert abs(51 / 256 - 0.2) > 4 * np.sqrt(0.16 / 4e7 + (0.5 / 256) ** 2 / 1000)


def test_what_is_kept_grows_and_what_is_dropped_learns_nothing() -> None:
    layer = dropout(0.2)
    values = tf.random.normal((33, 7, 5, 3), seed=1)  # no multiple of four
    with tf.GradientTape() as tape:
        tape.watch(values)
        result = layer(values, training=True)
    gradient = tape.gradient(result, values).numpy()
    kept = gradient != 0
    assert 0.7 < kept.mean() < 0.9
    np.testing.assert_allclose(gradient[kept], 1.25, rtol=1e-6)
    np.testing.assert_allclose(result, values * gradient, rtol=1e-6)
    np.testing.assert_array_equal(layer(values, training=False), values)


def test_masks_differ_by_step_by_seed_and_by_neighbour_and_repeat_with_the_seed() -> None:
    ones = tf.ones((64, 1000))
    layer, same, other = dropout(0.5), dropout(0.5), dropout(0.5, seed=2)
    first, second = (layer(ones, training=True).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, same(ones, training=True))
    for mask in (second, other(ones, training=True).numpy()):
        assert abs(np.corrcoef(first.ravel(), mask.ravel())[0, 1]) < 0.02
    flat = first.ravel()
    for distance in (1, 2, 3, 4, 8, 1000):
        assert abs(np.corrcoef(flat[:-distance], flat[distance:])[0, 1]) < 0.02


def pooled(dtype: str, fuse: bool) -> keras.Model:
    """Convolutions before a pool, before a normalisation, and one that a pool shares."""
    keras.utils.set_random_seed(1)
    x = inputs = keras.Input((12, 12, 3))
    conv = {"padding": "same", "activation": "relu", "dtype": dtype}
    x = keras.layers.Conv2D(4, 3, name="inner", **conv)(x)
    x = keras.layers.Conv2D(4, 3, name="last", **conv)(x)
    x = keras.layers.MaxPooling2D(name="moved", dtype=dtype)(x)
    x = keras.layers.Conv2D(4, 3, name="normed", **conv)(x)
    x = keras.layers.BatchNormalization(scale=False, dtype=dtype)(x)  # Keras' own: not fused
    x = keras.layers.MaxPooling2D(name="behind_norm", dtype=dtype)(x)
    shared = keras.layers.Conv2D(4, 3, name="shared", **conv)(x)
    x = keras.layers.MaxPooling2D(name="not_alone", dtype=dtype)(shared)
    x = keras.layers.Concatenate(dtype=dtype)(
        [keras.layers.Flatten(dtype=dtype)(x), keras.layers.Flatten(dtype=dtype)(shared)]
    )
    model = keras.Model(inputs, keras.layers.Dense(3, dtype="float32")(x))
    if fuse:
        fused.fuse(model)
    return model


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_relu_behind_its_pool_gives_the_same_values_and_gradients_to_the_bit(dtype: str) -> None:
    images = tf.random.normal((5, 12, 12, 3), seed=1)
    found = []
    for fuse in (False, True):
        model = pooled(dtype, fuse)
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_sum(logits**2)
        found.append([logits, *tape.gradient(loss, model.trainable_variables)])
    for one, two in zip(*found, strict=True):
        np.testing.assert_array_equal(one, two)
    moved = [x.name for x in model.layers if type(x) is fused.RectifiedMaxPooling2D]
    assert moved == ["moved"]
    convs = [x for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    linear = [x.name for x in convs if x.activation is keras.activations.linear]
    assert linear == ["last"]


@pytest.mark.parametrize(("dtype", "error"), [("float32", 2e-5), ("mixed_bfloat16", 0.03)])
def test_batch_norm_gives_what_keras_gives(dtype: str, error: float) -> None:
    images, found = tf.random.normal((3, 5, 4, 6), 2.0, 3.0, seed=1), []
    for fuse in (False, True):
        layer = keras.layers.BatchNormalization(momentum=0.7, dtype=dtype)
        inputs = keras.Input((5, 4, 6))
        model = keras.Model(inputs, layer(inputs))
        layer.gamma.assign(np.linspace(0.5, 2, 6))
        layer.beta.assign(np.linspace(-1, 1, 6))
        if fuse:
            fused.fuse(model)
            assert type(layer) is fused.BatchNormalization
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images, training=True)
            loss = tf.reduce_sum(tf.sin(tf.cast(outputs, tf.float32)))
        gradients = tape.gradient(loss, [images, *model.trainable_variables])
        moved = [v.numpy() for v in model.non_trainable_variables]
        frozen = model(images, training=False)
        layer.trainable = False
        still = model(images, training=True)
        found.append([outputs, *gradients, *moved, frozen, still])
        assert outputs.dtype == layer.compute_dtype
        np.testing.assert_array_equal(still, frozen)
    for one, two in zip(*found, strict=True):
        scale = float(np.abs(np.asarray(one, np.float32)).max())
        ours, theirs = (np.asarray(value, np.float32) for value in (two, one))
        np.testing.assert_allclose(ours, theirs, atol=error * max(scale, 1))


@pytest.mark.parametrize(
    ("shape", "options"),
    [((6,), {}), ((4, 4, 6), {"axis": 1}), ((4, 4, 6), {"center": False})],
)
def test_batch_norm_that_is_not_of_maps_is_keras_own(shape: tuple, options: dict) -> None:
    inputs, layer = keras.Input(shape), keras.layers.BatchNormalization(**options)
    fused.fuse(keras.Model(inputs, layer(inputs)))
    assert type(layer) is keras.layers.BatchNormalization


@pytest.mark.parametrize(
    ("mine", "theirs"),
    [(fused.Adam, keras.optimizers.Adam), (fused.AdamW, keras.optimizers.AdamW)],
)
@pytest.mark.parametrize("more", [{}, {"global_clipnorm": 1.0, "use_ema": True}])
def test_adam_moves_weights_as_keras_does(mine: type, theirs: type, more: dict) -> None:
    random = np.random.default_rng(1)
    start = [random.normal(size=shape).astype(np.float32) for shape in ((40, 30), (30,))]
    gradients = [[random.normal(size=w.shape).astype(np.float32) for w in start] for _ in range(20)]
    found, states, names = [], [], []
    for kind in (mine, theirs):
        schedule = keras.optimizers.schedules.CosineDecay(0.01, 20)
        optimizer = kind(learning_rate=schedule, **more)
        weights = [keras.Variable(w) for w in start]
        optimizer.build(weights)
        step = tf.function(optimizer.apply, autograph=False)
        for each in gradients:
            step([tf.constant(gradient) for gradient in each])
        found.append([w.numpy() for w in weights])
        states.append([v.numpy() for v in optimizer.variables])
        names.append([re.sub(r"_?\d+", "", v.path) for v in optimizer.variables])
    assert names[0] == names[1]
    for one, two in [*zip(*found, strict=True), *zip(*states, strict=True)]:
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert any(np.abs(a - b).max() > 0.01 for a, b in zip(start, found[0], strict=True))

"""Grad-CAM shows the evidence for a class, for every head, and follows the weights."""

import keras
import numpy as np
import pytest

from melanoma_exp.evaluation import gradcam
from melanoma_exp.models.cnn import Cnn


def cnn(**changes: object) -> keras.Model:
    keras.utils.set_random_seed(3)
    plain = {
        "kind": "cnn",
        "name": "m",
        "rescale": True,
        "filters": [[4], [6, 5]],
        "kernel": 3,
        "padding": "same",
        "norm": "after_pool",
        "dropout": 0.2,
        "dense": [7],
        "dense_norm": False,
        "dense_dropout": 0.0,
        "head_dropout": 0.0,
        "head_units": None,
    }
    return Cnn.model_validate({**plain, **changes}).build((32, 24, 3), 2 if changes else 4)


def grad_cam(model: keras.Model, images: np.ndarray, classes: np.ndarray | int) -> np.ndarray:
    """Explains the last convolution."""
    convolutions = [x.name for x in model.layers if isinstance(x, keras.layers.Conv2D)]
    return gradcam.grad_cam(model, convolutions[-1], images, classes)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 32, 24, 3)).astype(np.uint8)


def test_a_map_highlights_the_evidence_for_its_class() -> None:
    """One filter passes red on, another green; the logits are their sums: maps separate them."""
    images = np.zeros((1, 16, 16, 3), np.uint8)
    images[0, :6, :6, 0] = 200  # red above on the left
    images[0, 10:, 10:, 1] = 200
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    conv = keras.layers.Conv2D(2, 1, activation="relu")
    x = keras.layers.GlobalAveragePooling2D()(conv(x))
    logits = keras.layers.Dense(3, name="logits")
    model = keras.Model(inputs, logits(x))
    conv.set_weights([np.eye(3)[:, :2].reshape(1, 1, 3, 2), np.zeros(2)])
    logits.set_weights([np.array([[1.0, 0, -1], [0, 1, -1]]), np.zeros(3)])
    red, green, neither = grad_cam(model, np.repeat(images, 3, 0), np.arange(3))
    assert red[:6, :6].min() == 1 and red[10:, 10:].max() == 0
    assert green[10:, 10:].min() == 1 and green[:6, :6].max() == 0
    assert neither.max() == 0


def test_it_is_the_formula_of_the_paper_for_any_batch() -> None:
    """Before global average pooling and a linear head, the gradient is known: W / (h w)."""
    keras.utils.set_random_seed(3)
    inputs, images = keras.Input((32, 24, 3), dtype="uint8"), pictures(40)
    conv = keras.layers.Conv2D(6, 3, strides=2, padding="same", activation="relu")
    features = conv(keras.layers.Rescaling(1 / 255)(inputs))
    logits = keras.layers.Dense(4)
    model = keras.Model(inputs, logits(keras.layers.GlobalAveragePooling2D()(features)))
    seen = keras.Model(inputs, features)(images).numpy()
    wanted = np.arange(40) % 4
    weight = logits.get_weights()[0][:, wanted].T[:, None, None] / (16 * 12)
    summed = np.maximum((seen * weight).sum(-1), 0)
    expected = keras.ops.convert_to_numpy(keras.ops.image.resize(summed[..., None], (32, 24)))
    expected = expected[..., 0] / expected.max(axis=(1, 2, 3))[:, None, None]
    found = grad_cam(model, images, wanted)
    assert found.shape == (40, 32, 24) and found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("changes", [{"head_units": 1}, {"head_units": 2}])
def test_maps_of_two_classes_differ(changes: dict[str, int]) -> None:
    model, images = cnn(**changes), pictures(3)
    first, second = grad_cam(model, images, 0), grad_cam(model, images, 1)
    assert max(first.max(), second.max()) == 1
    assert first.min() >= 0 and not np.allclose(first, second)


def test_maps_of_a_bfloat16_model_are_float32() -> None:
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = cnn()
    finally:
        keras.config.set_dtype_policy("float32")
    maps = grad_cam(model, pictures(2), np.array([0, 3]))
    assert maps.dtype == np.float32 and np.isfinite(maps).all() and maps.max() == 1
    assert np.isfinite(grad_cam(gradcam.randomised(model, 1), pictures(2), 0)).all()


@pytest.mark.parametrize("changes", [{}, {"head_units": 1}])
def test_random_weights_keep_the_size_and_nothing_else(changes: dict[str, int]) -> None:
    model, images = cnn(**changes), pictures(2)
    before = [w.copy() for w in model.get_weights()]
    other = gradcam.randomised(model, 5)
    for old, kept, new in zip(before, model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(old, kept)
        if old.ndim < 2:
            np.testing.assert_array_equal(np.sort(old), np.sort(new))
        elif old.size > 500:
            assert new.std() == pytest.approx(np.sqrt((old**2).mean()), rel=0.1)
            assert abs(np.corrcoef(old.ravel(), new.ravel())[0, 1]) < 0.1
    assert not np.allclose(model(images), other(images))
    same = gradcam.randomised(model, 5).get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(same, other.get_weights(), strict=True))


def test_rank_correlation_is_one_for_equal_and_nan_for_constant_maps() -> None:
    maps = np.random.default_rng(0).random((3, 5, 5)).astype(np.float32)
    others = np.stack([maps[0] ** 2, 1 - maps[1], np.zeros((5, 5), np.float32)])
    found = gradcam.rank_correlation(maps, others)
    np.testing.assert_allclose(found[:2], [1, -1])
    assert np.isnan(found[2])

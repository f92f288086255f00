"""Networks give float32 logits of named layers, and refuse what they cannot do."""

from typing import Any

import numpy as np
import pytest

from melanoma_exp.models.cnn import Cnn
from melanoma_exp.spec import UserError

BASE: dict[str, Any] = {
    "kind": "cnn",
    "name": "net",
    "rescale": True,
    "filters": [[16], [32], [64]],
    "kernel": 3,
    "padding": "same",
    "norm": "none",
    "dropout": 0.0,
    "dense": [128],
    "dense_norm": False,
    "dense_dropout": 0.0,
    "head_dropout": 0.0,
    "head_units": None,
}


def spec(**changes: Any) -> Cnn:
    return Cnn.model_validate({**BASE, **changes})


def test_one_unit_for_two_classes_is_a_proper_softmax() -> None:
    import keras

    small = spec(head_units=1).build((16, 16, 3), 2)
    logits = small(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8))
    unit = keras.Model(small.input, small.get_layer("logit").output)(
        np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8)
    )
    sigmoid = keras.ops.sigmoid(unit)[:, 0]
    np.testing.assert_allclose(keras.ops.softmax(logits)[:, 1], sigmoid, rtol=1e-6)


def test_one_unit_for_nine_classes_is_refused_with_what_happened_to_others() -> None:
    with pytest.raises(UserError, match="constant accuracy"):
        spec(head_units=1).build((180, 180, 3), 9)
    with pytest.raises(UserError, match="7 classes"):
        spec(head_units=9).build((180, 180, 3), 7)


def test_an_image_too_small_for_the_pools_is_refused() -> None:
    with pytest.raises(UserError, match="too small"):
        spec().build((8, 4, 3), 9)


def test_rescaling_happens_once_and_inside() -> None:
    import keras

    model = spec().build((16, 16, 3), 9)
    scaled = keras.Model(model.input, model.get_layer("rescale").output)
    white = scaled(np.full((1, 16, 16, 3), 255, np.uint8))
    assert float(keras.ops.max(white)) == pytest.approx(1.0)
    assert len([layer for layer in model.layers if "rescal" in layer.name]) == 1


def test_logits_stay_float32_under_bfloat16() -> None:
    import keras

    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = spec().build((16, 16, 3), 9)
    finally:
        keras.config.set_dtype_policy(before)
    assert model.get_layer("block1_conv1").compute_dtype == "bfloat16"
    assert model.output.dtype == "float32"


def test_layers_are_named_after_block_and_position() -> None:
    names = [
        layer.name for layer in spec(dropout=0.2, dense_dropout=0.5).build((32, 32, 3), 9).layers
    ]
    assert names[:5] == ["images", "rescale", "block1_conv1", "block1_pool", "block1_dropout"]
    assert names[-3:] == ["dense1", "dense1_dropout", "logits"]

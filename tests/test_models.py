"""Networks are the published ones to the parameter, and give float32 logits of named layers."""

from typing import Any

import numpy as np
import pytest

from melanoma_exp.models.spec import Cnn
from melanoma_exp.spec import UserError

BASE: dict[str, Any] = {
    "kind": "cnn", "name": "net", "rescale": True, "filters": [[16], [32], [64]], "kernel": 3,
    "padding": "same", "norm": "none", "dropout": 0.0, "dense": [128], "dense_norm": False,
    "dense_dropout": 0.0, "head_dropout": 0.0, "head_units": None,
}  # fmt: skip


def spec(**changes: Any) -> Cnn:
    return Cnn.model_validate({**BASE, **changes})


@pytest.mark.parametrize(
    ("parameters", "changes"),
    [
        (3_989_801, {}),
        (3_989_801, {"dropout": 0.2, "dense_dropout": 0.5}),
        (8_024_393, {"filters": [[32], [64], [128]]}),
        (3_301_673, {"padding": "valid"}),
        (8_360_265, {"filters": [[32], [64], [128], [256]], "dense": [256, 128, 64],
                     "dropout": 0.25, "dense_dropout": 0.25}),
        (139_817, {"filters": [[32, 32], [32], [32], [32]], "kernel": 5, "dense": [],
                   "head_dropout": 0.25}),
        (218_729, {"filters": [[32, 32], [32], [32]], "kernel": 5, "dense": [],
                   "head_dropout": 0.25}),
        (29_045_929, {"filters": [[32, 32], [64, 64], [128]], "dense": [512], "rescale": False,
                      "padding": ["same", "same", "valid"], "dropout": [0.25, 0.4, 0.4],
                      "dense_dropout": 0.5}),
    ],
)  # fmt: skip
def test_published_networks_have_the_published_parameters(
    parameters: int, changes: dict[str, Any]
) -> None:
    model = spec(**changes).build((180, 180, 3), 9)
    assert model.count_params() == parameters
    assert model.output_shape == (None, 9)


def test_one_unit_for_two_classes_is_the_published_net_and_a_proper_softmax() -> None:
    import keras

    net = spec(
        filters=[[32, 32], [64], [128]], padding="valid",
        norm=["none", "before_pool", "before_pool"], dense=[512], dense_dropout=0.5, head_units=1,
    )  # fmt: skip
    model = net.build((180, 180, 3), 2)
    assert model.count_params() == 26_318_689
    assert sum(int(np.prod(w.shape)) for w in model.non_trainable_weights) == 384
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

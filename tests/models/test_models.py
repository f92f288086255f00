"""Networks give float32 logits of named layers, and refuse what they cannot do."""

from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import yaml
from pydantic import TypeAdapter

from melanoma_exp.evaluation import gradcam
from melanoma_exp.models import AnyModel, flops
from melanoma_exp.models.base import Model
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


class Residual(Model):
    """A residual network with group normalisation and a 1x1 shortcut, as in many papers."""

    kind: Literal["residual"]
    ends: Literal["layers", "operations"]

    def build(self, image_shape: tuple[int, int, int], num_classes: int) -> Any:
        import keras
        from keras import layers

        inputs = keras.Input(image_shape, dtype="uint8")
        x = layers.Conv2D(4, 3, padding="same")(layers.Rescaling(1 / 255)(inputs))
        y = layers.GroupNormalization(2, name="norm")(layers.Conv2D(8, 3, 2, "same")(x))
        shortcut = layers.Conv2D(8, 1, strides=2, name="shortcut")(x)
        if self.ends == "layers":
            x = layers.ReLU(name="last")(layers.Add()([y, shortcut]))
        else:
            x = keras.ops.relu(y + shortcut)
        squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
        x = layers.Flatten()(layers.Conv2D(8, 1, name="on_one_pixel")(squeezed))
        return keras.Model(inputs, layers.Dense(num_classes, dtype="float32")(x))


@pytest.mark.parametrize("ends", ["layers", "operations"])
def test_grad_cam_explains_what_follows_the_last_merge_not_a_shortcut(ends: str) -> None:
    net = Residual(kind="residual", name="r", ends=ends)
    model = net.build((16, 12, 3), 3)
    layer = net.gradcam_layer(model)
    assert layer not in ("shortcut", "norm", "on_one_pixel")
    (maps,) = (op.output for op in model.operations if op.name == layer)
    assert maps.shape == (None, 8, 6, 8) and (layer == "last" or ends == "operations")
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 12, 3), np.uint8)
    random = gradcam.randomised(model, 1)
    for network in (model, random, model):  # of an operation copies share the name
        found = gradcam.evidence(network, layer, images, 1)
        assert found.shape == (2, 8, 6) and np.ptp(found) > 0
    assert not np.allclose(gradcam.evidence(random, layer, images, 1), found)


def test_grad_cam_explains_the_last_maps_of_a_nested_or_sequential_model() -> None:
    import keras
    from keras import layers

    inputs = keras.Input((16, 12, 3), dtype="uint8")
    inner = keras.Sequential([layers.Conv2D(4, 3, padding="same"), layers.ReLU()], name="inner")
    x = layers.GlobalAveragePooling2D()(layers.MaxPooling2D()(inner(inputs)))
    nested = keras.Model(inputs, layers.Dense(3)(x))
    layered = [layers.Conv2D(4, 3), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(3)]
    sequential = keras.Sequential([keras.Input((16, 12, 3)), *layered])
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 12, 3), np.uint8)
    net = Residual(kind="residual", name="r", ends="layers")
    for model, name, size in ((nested, "inner", (16, 12)), (sequential, layered[0].name, (14, 10))):
        assert net.gradcam_layer(model) == name
        assert gradcam.evidence(model, name, images, 1).shape == (2, *size)


def test_a_model_without_feature_maps_is_refused() -> None:
    import keras

    inputs = keras.Input((8, 8, 3), dtype="uint8")
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)), name="flat")
    net = Residual(kind="residual", name="r", ends="layers")
    with pytest.raises(UserError, match="model r: Grad-CAM needs a layer with feature maps"):
        net.gradcam_layer(model)


CONF = Path(__file__).parents[2] / "conf" / "model"


# That of a preset has no network before a folder is named: see test_keras_hub.py.
OWN = sorted(path for path in CONF.glob("*.yaml") if path.stem != "keras_hub")


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.stem)
def test_every_option_builds_and_says_what_others_need_to_know(path: Path) -> None:
    net = TypeAdapter(AnyModel).validate_python(yaml.safe_load(path.read_text()))
    net.check_head(7)
    model = net.build((45, 52, 3), 7)
    assert model.input.dtype == "uint8" and model.output.dtype == "float32"
    assert model.output.shape == (None, 7)
    assert net.name in net.describe()["network"]
    (maps,) = (op.output for op in model.operations if op.name == net.gradcam_layer(model))
    assert len(maps.shape) == 4 and min(maps.shape[1:3]) > 1
    cost = flops.measure(model)
    assert cost.flops > 0 and cost.parameters == model.count_params() and not cost.uncounted

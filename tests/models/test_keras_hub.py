"""KerasHub presets: read once, without KerasHub; their networks compute what KerasHub's do."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melanoma_exp.models import flops
from melanoma_exp.models.keras_hub import KerasHub
from melanoma_exp.models.pretrained.keras_hub_preset import CONFIG, SCALING, WEIGHTS, read
from melanoma_exp.spec import UserError, validate

BASE: dict[str, Any] = {
    "kind": "keras_hub",
    "name": "keras_hub",
    "preset": None,
    "pretrained": True,
    "weights_sha256": None,
    "recorded": None,
    "levels": 1,
    "pool": "avg",
    "normalize": False,
    "hidden": [],
    "dropout": 0.0,
}
SCALE, OFFSET = [0.02, 0.03, 0.04], [-2.0, 0.0, 1.0]
RESNET = {
    "input_conv_filters": [64],
    "input_conv_kernel_sizes": [7],
    "stackwise_num_filters": [64, 128],
    "stackwise_num_blocks": [1, 1],
    "stackwise_num_strides": [1, 2],
    "block_type": "basic_block",
}
NETWORKS: dict[str, dict[str, Any]] = {
    "ResNetBackbone": RESNET,
    "DenseNetBackbone": {"stackwise_num_repeats": [2, 2]},
    "HGNetV2Backbone": {  # gives the maps of every stage
        "depths": [1, 1],
        "embedding_size": 8,
        "hidden_sizes": [16, 32],
        "stem_channels": [3, 8, 8],
        "hidden_act": "relu",
        "use_learnable_affine_block": False,
        "stackwise_stage_filters": [[8, 8, 16, 1, 1, 3], [16, 8, 32, 1, 1, 3]],
        "apply_downsample": [False, True],
        "use_lightweight_conv_block": [False, False],
    },
    "ViTBackbone": {
        "image_shape": (32, 64, 3),
        "patch_size": (16, 16),
        "num_layers": 2,
        "num_heads": 2,
        "hidden_dim": 16,
        "mlp_dim": 32,
    },
    "DINOV2Backbone": {  # its positions are drawn to the size of the image
        "patch_size": 16,
        "num_layers": 2,
        "hidden_dim": 16,
        "num_heads": 2,
        "intermediate_dim": 32,
        "num_register_tokens": 4,
        "image_shape": (64, 64, 3),
        "position_embedding_shape": (64, 64),
    },
}


def spec(**changes: Any) -> KerasHub:
    return validate(KerasHub, {**BASE, **changes}, "model")


@pytest.fixture
def preset(tmp_path: Path) -> Path:
    """The files of a preset, without KerasHub; its weights are none."""
    folder = tmp_path / "preset"
    folder.mkdir()
    config = {"class_name": "ResNetBackbone", "config": {**RESNET, "image_shape": [None, None, 3]}}
    (folder / CONFIG).write_text(json.dumps(config))
    (folder / SCALING).write_text(json.dumps({"config": {"scale": SCALE, "offset": OFFSET}}))
    (folder / WEIGHTS).write_bytes(b"weights")
    return folder


def test_a_run_records_what_the_preset_says_and_not_where_it_lies(
    preset: Path, tmp_path: Path
) -> None:
    net = spec(preset=preset).settle(resumed=False)
    assert net.recorded and net.recorded.config == RESNET
    assert (net.recorded.scale, net.recorded.offset) == (tuple(SCALE), tuple(OFFSET))
    moved = shutil.copytree(preset, tmp_path / "elsewhere")
    assert spec(preset=moved).settle(resumed=False).identity() == net.identity()
    shutil.rmtree(preset)
    assert net.settle(resumed=True) == net
    (moved / WEIGHTS).write_bytes(b"others")
    with pytest.raises(UserError, match="has other weights than the run asks for"):
        net.model_copy(update={"preset": moved}).settle(resumed=False)


def test_scaling_of_older_presets_is_by_mean_and_variance(preset: Path) -> None:
    old = {"scale": 0.5, "mean": [1.0, 2.0, 3.0], "variance": [4.0, 16.0, 0.25]}
    (preset / SCALING).write_text(json.dumps({"config": old}))
    found = read(preset)
    assert found.scale == (0.25, 0.125, 1.0)
    assert found.offset == (-0.5, -0.5, -6.0)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (CONFIG, None, "config.json: there is no such file; a preset is what save_to_preset"),
        (SCALING, None, "how pixels are scaled stands in it"),
        (WEIGHTS, None, "there is no file .*model.weights.h5"),
        (CONFIG, "[1]", "it is no object"),
        (CONFIG, "[" * 100_000, "config.json: "),
        (CONFIG, '{"class_name": "os.system", "config": {}}', "names no network of KerasHub"),
        (CONFIG, '{"model_type": "resnet"}', "names no network of KerasHub"),
        (CONFIG, '{"class_name": "BertBackbone", "config": {}}', "is no network of images"),
        (
            CONFIG,
            '{"class_name": "XBackbone", "config": {"image_shape": 1, "image_encoder": {}}}',
            r"has a network within it \(image_encoder\)",
        ),
        (SCALING, '{"config": {"scale": [1, 2]}}', "does not say how pixels are scaled"),
        (SCALING, '{"config": {"scale": NaN}}', "does not say how pixels are scaled"),
        (SCALING, '{"config": {"scale": null, "mean": [1], "variance": [0]}}', "does not say"),
    ],
)
def test_what_is_no_preset_of_images_is_refused_before_tensorflow(
    preset: Path, file: str, content: str | None, message: str
) -> None:
    (preset / file).unlink()
    if content is not None:
        (preset / file).write_text(content)
    with pytest.raises(UserError, match=message) as refused:
        spec(preset=preset).settle(resumed=False)
    assert len(refused.value.lines) == 1


def test_a_preset_has_to_be_named() -> None:
    with pytest.raises(UserError, match="name the folder of a KerasHub preset"):
        spec().settle(resumed=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_what_kerashub_computes(name: str, tmp_path: Path) -> None:
    keras_hub = pytest.importorskip("keras_hub", reason="needs the extra `keras-hub`")
    import keras

    keras.utils.set_random_seed(1)
    config = NETWORKS[name]
    original = getattr(keras_hub.models, name)(**{"image_shape": (32, 64, 3), **config})
    for layer in original.layers:  # biases and statistics that do something
        arrays = layer.get_weights()
        random = np.random.default_rng(0)
        layer.set_weights([a + np.abs(random.normal(0, 0.05, a.shape)) for a in arrays])
    original.save_to_preset(str(tmp_path))
    (tmp_path / SCALING).write_text(json.dumps({"config": {"scale": SCALE, "offset": OFFSET}}))
    original = keras_hub.models.Backbone.from_preset(str(tmp_path))
    size = original.image_shape[:2]
    net = spec(preset=tmp_path, pool="avg_max").settle(resumed=False)
    model = net.build((*size, 3), 3)
    net.load_pretrained(model)
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), np.uint8)
    expected = original(images * np.float32(SCALE) + np.float32(OFFSET))
    if isinstance(expected, dict):
        expected = list(expected.values())[-1]
    maps = np.reshape(expected, (2, -1, expected.shape[-1]))
    maps = maps[:, -(size[0] // 16) * (size[1] // 16) :] if "patch_size" in config else maps
    features = keras.Model(model.input, model.get_layer("embedding").output)(images)
    pooled = np.concatenate([maps.mean(1), maps.max(1)], axis=1)
    np.testing.assert_allclose(features, pooled, rtol=1e-5, atol=1e-5 * float(np.std(pooled)))
    named = [layer for stage in net.stages(model) for layer in stage]
    assert sorted(named) == sorted(layer.name for layer in model.layers if layer.weights)
    cost = flops.measure(model)
    assert cost.flops > 0 and cost.parameters == model.count_params() and not cost.uncounted
    assert keras.models.clone_model(model).count_params() == model.count_params()
    shape = model.get_layer(net.gradcam_layer(model)).output.shape
    assert shape[1:] == (*((4, 4) if "DINO" in name else shape[1:3]), maps.shape[-1])


@pytest.mark.slow
def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    keras_hub = pytest.importorskip("keras_hub", reason="needs the extra `keras-hub`")
    for name, filters in (("a", [64, 128]), ("b", [64, 64])):
        config = {**RESNET, "stackwise_num_filters": filters}
        keras_hub.models.ResNetBackbone(**config).save_to_preset(str(tmp_path / name))
        scaling = json.dumps({"config": {"scale": 1.0}})
        (tmp_path / name / SCALING).write_text(scaling)
    shutil.copy(tmp_path / "b" / WEIGHTS, tmp_path / "a" / WEIGHTS)
    net = spec(preset=tmp_path / "a").settle(resumed=False)
    model = net.build((32, 32, 3), 3)
    with pytest.raises(UserError, match="does not hold the weights of a ResNetBackbone"):
        net.load_pretrained(model)

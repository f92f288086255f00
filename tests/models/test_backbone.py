"""Backbones: pretrained weights are the published ones, and only a new run reads their file."""

import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from melanoma_exp.models.backbone import Backbone
from melanoma_exp.models.pretrained import applications
from melanoma_exp.spec import UserError, validate

BASE: dict[str, Any] = {
    "kind": "backbone",
    "name": "backbone",
    "architecture": "efficientnet_lite0",
    "weights": None,
    "weights_sha256": None,
    "levels": 1,
    "pool": "avg",
    "normalize": False,
    "hidden": [],
    "dropout": 0.0,
    "drop_path": 0.0,
}


def spec(**changes: Any) -> Backbone:
    return validate(Backbone, {**BASE, **changes}, "model")


def pretrained(net: Backbone, size: tuple[int, int] = (32, 40)) -> Any:
    model = net.build((*size, 3), 3)
    net.load_pretrained(model)
    return model


def embedded(model: Any, images: np.ndarray) -> np.ndarray:
    import keras

    layer = model.get_layer("embedding")
    return np.asarray(keras.Model(model.input, layer.output)(images))


@pytest.fixture
def lite0(real_folder) -> Path:
    return real_folder("pretrained") / "efficientnet_lite0.npz"


def test_efficientnet_lite0_names_what_two_photographs_show(lite0: Path) -> None:
    """A bell cote and a daisy, in the order of ImageNet's classes."""
    from PIL import Image
    from sklearn.datasets import load_sample_images

    squares = []
    for photograph in load_sample_images().images:
        height, width, _ = photograph.shape
        left = (width - height) // 2
        square = Image.fromarray(photograph[:, left : left + height])
        squares.append(np.asarray(square.resize((224, 224), Image.Resampling.BICUBIC)))
    features = embedded(pretrained(spec(weights=lite0), (224, 224)), np.stack(squares))
    with np.load(lite0) as archive:
        logits = features @ archive["_fc.weight"].T + archive["_fc.bias"]
        scrambled = features[:, ::-1] @ archive["_fc.weight"].T + archive["_fc.bias"]
    assert logits.argmax(1).tolist() == [442, 985] != scrambled.argmax(1).tolist()


def test_an_archive_of_another_network_is_refused_by_the_first_array(
    lite0: Path, tmp_path: Path
) -> None:
    with np.load(lite0) as archive:
        arrays = dict(archive.items())
    wrong = {
        "it lacks _blocks.3._bn1.bias": {k: v for k, v in arrays.items() if "3._bn1.b" not in k},
        "_bn1.bias has the shape": {**arrays, "_bn1.bias": np.zeros(3, np.float32)},
        "it has _blocks.16._bn0.bias": {**arrays, "_blocks.16._bn0.bias": np.zeros(3)},
    }
    net = spec(weights=tmp_path / "x.npz")
    model = net.build((32, 32, 3), 3)
    before = model.get_weights()
    for message, content in wrong.items():
        np.savez(tmp_path / "x.npz", **content)
        with pytest.raises(UserError, match=message) as refused:
            net.load_pretrained(model)
        assert len(refused.value.lines) == 1
    (tmp_path / "x.npz").write_text("no archive")
    with pytest.raises(UserError, match="x.npz is no archive"):
        net.load_pretrained(model)
    assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))


def test_a_file_of_keras_gives_its_weights_whatever_the_image_size(
    real_folder, tmp_path: Path
) -> None:
    import keras

    file = real_folder("pretrained") / "mobilenetv2_160_notop.weights.h5"
    net = spec(architecture="MobileNetV2", weights=file)
    model = pretrained(net)
    original = keras.applications.MobileNetV2(
        include_top=False, weights=file, input_shape=(32, 40, 3), pooling="avg"
    )
    images = np.random.default_rng(0).integers(0, 256, (2, 32, 40, 3), np.uint8)
    scaled = keras.applications.mobilenet_v2.preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(embedded(model, images), original(scaled), atol=1e-3)
    part = shutil.copy(file, tmp_path / "part.weights.h5")
    with h5py.File(part, "a") as content:
        last = [name for name in content["layers"] if name.startswith("batch_normalization")][-1]
        del content["layers"][last]
    for architecture, path in (("MobileNetV3Small", file), ("MobileNetV2", part)):
        net = spec(architecture=architecture, weights=path)
        with pytest.raises(UserError, match=f"the weights of {architecture} .*: it has no ") as no:
            pretrained(net)
        assert len(no.value.lines) == 1


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ["ConvNeXtTiny", "EfficientNetB0", "EfficientNetV2B0"])
def test_layers_that_replace_those_of_keras_compute_the_same(
    architecture: str, tmp_path: Path
) -> None:
    import keras

    random, file = np.random.default_rng(0), tmp_path / "x.weights.h5"
    images = random.integers(0, 256, (2, 64, 48, 3), np.uint8)
    create = getattr(keras.applications, architecture)
    original = create(include_top=False, weights=None, input_shape=(64, 48, 3))
    for layer in applications.weighted(original):
        arrays = layer.get_weights()
        layer.set_weights([a + random.normal(0, 0.05, a.shape) ** 2 for a in arrays])
    pixels = [
        layer
        for layer in original.layers
        if isinstance(layer, keras.layers.Normalization) and layer.weights
    ]
    for layer in pixels:  # as published; Keras divides by the root of the deviations once more
        layer.set_weights([np.array(applications.MEAN), np.array(applications.STD), np.array(1)])
        layer.finalize_state()
    original.save_weights(file)
    expected = original(images.astype(np.float32))
    if pixels:
        stem = original.get_layer("stem_conv_pad").input
        scaled = keras.Model(original.input, stem)(images.astype(np.float32))
        expected = keras.Model(stem, original.output)(scaled / np.sqrt(applications.STD, dtype="f"))
    model = pretrained(spec(architecture=architecture, weights=file), (64, 48))
    maps = keras.Model(model.input, model.get_layer("avg_pool1").input)(images)
    np.testing.assert_allclose(maps, expected, atol=1e-4 * float(np.std(expected)))


def test_mistakes_are_refused_before_tensorflow(tmp_path: Path) -> None:
    for changes, message in (
        ({"architecture": "MobilNetV2"}, "model.architecture: .* did you mean MobileNetV2?"),
        ({"weights": "imagenet"}, "weights: Keras offers none of efficientnet_lite0"),
        ({"weights": "a.h5"}, r"efficientnet_lite0 takes a file .npz \(got a.h5\)"),
        ({"architecture": "VGG16", "weights": "a.npz"}, "VGG16 takes a file .h5"),
        ({"weights_sha256": "0" * 64}, "weights_sha256: is of a file"),
        ({"architecture": "VGG16", "drop_path": 0.1}, "drop_path: only efficientnet_lite0"),
    ):
        with pytest.raises(UserError, match=message):
            spec(**changes)
    absent = spec(weights=tmp_path / "absent.npz")
    with pytest.raises(UserError, match="model.weights: there is no file .*absent.npz"):
        absent.settle(resumed=False)
    (tmp_path / "other.npz").write_bytes(b"other")
    other = spec(weights=tmp_path / "other.npz", weights_sha256="0" * 64)
    with pytest.raises(UserError, match="has another content"):
        other.settle(resumed=True)


def test_stages_go_from_the_stem_through_the_blocks_to_the_head() -> None:
    net = spec(hidden=[4], normalize=True)
    model = net.build((32, 32, 3), 3)
    stages = net.stages(model)
    assert len(stages) == 1 + 16 + 1 + 1
    assert stages[0] == ["conv_stem", "bn0"]
    assert stages[-1] == ["embedding_norm", "hidden1", "logits"]
    named = [name for stage in stages for name in stage]
    assert sorted(named) == sorted(layer.name for layer in model.layers if layer.weights)


def test_levels_add_features_of_higher_resolutions() -> None:
    model = spec(pool="avg_max", levels=3).build((64, 48, 3), 3)
    assert model.get_layer("embedding").output.shape == (None, 2 * (1280 + 672 + 240))
    with pytest.raises(UserError, match="model.levels: the network has 4 resolutions"):
        spec(architecture="ConvNeXtTiny", levels=5).build((64, 64, 3), 3)


@pytest.mark.parametrize(
    ("architecture", "module"),
    [("VGG16", "vgg16"), ("Xception", "xception"), ("DenseNet121", "densenet")],
)
def test_pixels_are_scaled_as_the_networks_authors_did(architecture: str, module: str) -> None:
    import keras

    images = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    inputs = keras.Input((4, 5, 3), dtype="uint8")
    ours = keras.Model(inputs, applications.scaled(inputs, applications.SCALING[architecture]))
    theirs = getattr(keras.applications, module).preprocess_input(images.astype(np.float32))
    np.testing.assert_allclose(ours(images), theirs, atol=1e-4)


def test_a_failed_download_says_which_file_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
        monkeypatch.delenv(name.upper(), raising=False)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("keras.src.utils.file_utils.config.keras_home", lambda: "/nowhere")
    net = spec(architecture="MobileNetV2", weights="imagenet")
    assert net.settle(False).identity() != spec(architecture="MobileNetV2").identity()
    with pytest.raises(UserError, match=r"cannot download mobilenet_v2_\S+_no_top.h5; fetch https"):
        pretrained(net)


def test_every_network_of_keras_is_known() -> None:
    import keras

    offered = {name for name in dir(keras.applications) if callable(vars(keras.applications)[name])}
    assert offered == applications.SCALING.keys()

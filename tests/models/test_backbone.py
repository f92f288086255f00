"""Backbones: pretrained weights are the published ones, and only a new run reads their file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import overrides, runs

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.models import applications
from melanoma_exp.models.backbone import Backbone
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError, validate
from melanoma_exp.system.installation import conf_folder

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


def test_a_file_of_keras_gives_its_weights_whatever_the_image_size(real_folder) -> None:
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
    with pytest.raises(UserError, match="does not hold the weights of MobileNetV3Small") as refused:
        pretrained(spec(architecture="MobileNetV3Small", weights=file))
    assert len(refused.value.lines) == 1


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
    with pytest.raises(UserError, match="model.levels: ConvNeXtTiny has 4 resolutions"):
        spec(architecture="ConvNeXtTiny", levels=5).build((64, 64, 3), 3)


def test_every_network_of_keras_is_known() -> None:
    import keras

    offered = {name for name in dir(keras.applications) if callable(vars(keras.applications)[name])}
    assert offered == applications.SCALING.keys()


@pytest.mark.slow
def test_a_run_reads_the_file_once_and_is_known_by_its_content(
    images: Path, lite0: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(lite0.read_bytes())
    usual = [w for w in overrides(images, tmp_path) if not w.startswith("model")]
    words = [*usual, "model=backbone", "train.epochs=1", "train.precision=float32"]
    asked = [
        config.parse(compose.compose(conf_folder(), [*words, f"model.weights={path}"]))
        for path in (lite0, copy)
    ]
    settled = [one.model_copy(update={"model": one.model.settle(False)}) for one in asked]
    assert settled[0].digest == settled[1].digest != asked[0].digest
    runner.run(asked[1], tmp_path / "job", {})
    (run,) = runs(tmp_path)
    assert run.data.params["model.weights_sha256"] == settled[0].model.weights_sha256
    assert run.data.tags["config_digest"] == settled[0].digest
    copy.unlink()  # the run has its own weights now
    storage, out = f"tracking.folder={tmp_path}/mlruns", tmp_path / "worklist.csv"
    COMMANDS["predict"]([run.info.run_id, str(images), "--out", str(out), storage])
    assert out.is_file()
    with pytest.raises(UserError, match="there is no file .*copy.npz"):
        COMMANDS["rerun"]([run.info.run_id, storage])
    copy.write_bytes(b"other")
    with pytest.raises(UserError, match="copy.npz has another content"):
        COMMANDS["rerun"]([run.info.run_id, storage])

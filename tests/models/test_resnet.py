"""What the residual network promises: shapes, starts, skips and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from melanoma_exp.models import flops
from melanoma_exp.models.resnet import ResNet
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

STEM = {"filters": 4, "kernel": 3, "stride": 1, "pool": False}
SMALL = {"stem": STEM, "widths": [4, 8], "blocks": [1, 2], "strides": [1, 2], "groups": 2}


def yaml_of(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def spec(**changes: Any) -> ResNet:
    whole = yaml_of(conf_folder() / "model" / "resnet.yaml")
    return ResNet.model_validate({**whole, **SMALL, **changes})


def images(count: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, 3), np.uint8)


def test_the_option_has_the_size_that_its_yaml_states() -> None:
    whole = ResNet.model_validate(yaml_of(conf_folder() / "model" / "resnet.yaml"))
    cost = flops.measure(whole.build((112, 112, 3), 7))
    assert cost.parameters == pytest.approx(2.8e6, rel=0.01)
    assert cost.multiply_adds == pytest.approx(3.8e8, rel=0.05)


@pytest.mark.parametrize(
    "changes",
    [
        {"activation": "silu", "squeeze_excitation": 4, "stochastic_depth": 0.3},
        {"norm": "group", "pool": "max", "activation": "gelu"},
        {"stem": {"filters": 4, "kernel": 7, "stride": 2, "pool": True}, "pool": "avg_max"},
    ],
)
def test_every_part_learns_and_the_embedding_is_what_the_head_reads(changes: Any) -> None:
    import tensorflow as tf

    net = spec(zero_init_last=False, **changes)
    model = net.build((12, 10, 3), 3)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(images(), training=True) ** 2)
    gradients = tape.gradient(loss, model.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    embedding = model.get_layer("embedding").output
    assert embedding.shape == (None, 16 if net.pool == "avg_max" else 8)
    assert embedding.dtype == model.output.dtype == "float32"
    assert not flops.measure(model).uncounted


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_blocks_that_begin_at_zero_are_their_shortcuts(norm: str) -> None:
    import keras

    model = spec(norm=norm, widths=[4], blocks=[2], strides=[1]).build((12, 10, 3), 3)
    ends = [model.get_layer(name).output for name in ("stem_act", "stage1_block2_out")]
    start, end = keras.Model(model.input, ends)(images(), training=True)
    np.testing.assert_array_equal(start, end)


def test_an_image_skips_whole_blocks_in_training_alone_and_deeper_ones_more_often() -> None:
    import keras

    net = spec(stochastic_depth=0.6, zero_init_last=False)
    model = net.build((12, 10, 3), 3)
    skips = [f"stage{stage}_block{block}_skip" for stage, block in ((1, 1), (2, 1), (2, 2))]
    inputs = [model.get_layer(name).input for name in skips]
    outputs = [model.get_layer(name).output for name in skips]
    probe = keras.Model(model.input, [*inputs, *outputs])
    given = np.repeat(images(1), 1500, axis=0)
    found = [np.asarray(maps) for maps in probe(given, training=True)]
    for rate, before, after in zip((0.2, 0.4, 0.6), found[:3], found[3:], strict=True):
        skipped = (after == 0).all(axis=(1, 2, 3))
        assert skipped.mean() == pytest.approx(rate, abs=0.05)
        np.testing.assert_allclose(after[~skipped], before[~skipped] / (1 - rate), rtol=1e-5)
    still = [np.asarray(maps) for maps in probe(given[:2], training=False)]
    for before, after in zip(still[:3], still[3:], strict=True):
        np.testing.assert_array_equal(before, after)
    seeds = [v for v in model.variables if "seed" in v.path]
    assert len(seeds) == 4  # of three skips and the head's dropout: checkpoints hold them


def test_layers_with_weights_are_grouped_by_depth() -> None:
    net = spec(squeeze_excitation=2)
    model = net.build((12, 10, 3), 3)
    groups = net.stages(model)
    assert [len(group) for group in groups] == [2, 6, 14, 1] and groups[-1] == ["logits"]
    assert all(name.startswith("stage2_") for name in groups[2])
    weighted = [layer.name for layer in model.layers if layer.weights]
    assert sorted(name for group in groups for name in group) == sorted(weighted)


def test_pixels_are_scaled_by_channel() -> None:
    import keras

    model = spec().build((12, 10, 3), 3)
    scaled = keras.Model(model.input, model.get_layer("rescale").output)
    mean = np.broadcast_to(np.array([124, 116, 104], np.uint8), (1, 12, 10, 3))
    assert np.abs(scaled(mean)).max() < 0.01
    assert float(scaled(np.full((1, 12, 10, 3), 255, np.uint8))[0, 0, 0, 0]) == pytest.approx(
        (1 - 0.485) / 0.229, abs=1e-3
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"blocks": [1]}, "blocks: expected one value a stage, 2"),
        ({"strides": [1, 2, 2]}, "strides: expected one value a stage, 2"),
        ({"norm": "group", "groups": 3}, "groups: should divide every width"),
        ({"stem": {**STEM, "stride": 0}}, "greater than or equal to 1"),
        ({"activation": "tanh"}, "relu"),
    ],
)
def test_what_does_not_fit_is_refused(changes: Any, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**changes)


def test_an_image_too_small_for_the_strides_is_refused_before_tensorflow() -> None:
    net = spec(strides=[2, 4])
    net.check_image((9, 12))
    with pytest.raises(UserError, match=r"8x12 pixels are too small.*1 of 8") as caught:
        net.check_image((8, 12))
    assert len(caught.value.lines) == 1

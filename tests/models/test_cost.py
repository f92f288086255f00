"""Cost is measured from the built graph, of any network, and equals counts by hand."""

from typing import Any

import keras
import pytest
from keras import layers
from test_models import spec

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.models import flops, metadata_branch
from melanoma_exp.system.installation import conf_folder


def model_of(output: Any, inputs: Any) -> keras.Model:
    return keras.Model(inputs, output)


RESNET = [
    "model=resnet_small",
    "model.squeeze_excitation=7",
    "model.pool=avg_max",
    "model.stem.pool=true",
    "dataset.image_size=[64,48]",
]
GROUPED = ["model=resnet_small", "model.norm=group", "model.groups=4", "model.widths=[16,32,32,8]"]
VALID = ["model=m3", "model.filters=[[4,5],[6]]", "model.padding=[same,valid]", "model.kernel=5"]


@pytest.mark.parametrize(
    "words",
    [
        ["model=m1", "model.head_units=1"],
        ["model=m2", "model.norm=[none,before_pool,after_pool]"],
        ["model=m3", "dataset.image_size=[33,47]"],
        [*VALID, "model.dense=[7,5]", "model.dense_norm=[true,false]"],
        ["model=resnet"],
        RESNET,
        GROUPED,
    ],
    ids=" ".join,
)
def test_what_the_plan_says_without_tensorflow_is_what_is_built(words: list[str]) -> None:
    asked = config.parse(compose.compose(conf_folder(), words))
    shape, spec = (*asked.dataset.image_size, 3), asked.model
    found, built = spec.size(shape, 2), spec.build(shape, 2)
    assert found is not None and found.parameters == built.count_params()
    assert found.embedding == built.get_layer(spec.embedding_layer(built)).output.shape[-1]
    joined = metadata_branch.join(built, spec, 7, 5)
    more = metadata_branch.parameters(7, 5, found.embedding)
    assert found.parameters + more == joined.count_params()


def test_a_small_network_is_counted_by_hand() -> None:
    found = flops.measure(spec(filters=[[4]], dense=[5], padding="valid").build((8, 8, 3), 3))
    convolution = 3 * 3 * 3 * 4 * (6 * 6)
    dense = (3 * 3 * 4) * 5 + 5 * 3
    assert found.multiply_adds == convolution + dense
    assert found.flops == 2 * found.multiply_adds
    assert found.parameters == 27 * 4 + 4 + 36 * 5 + 5 + 15 + 3
    assert found.uncounted == ()


def counted_by_hand(net: Any, height: int, width: int, classes: int) -> int:
    """Multiply-adds of convolutions and dense layers from the config of a CNN."""
    channels, work = 3, 0
    paddings = net.padding if isinstance(net.padding, tuple) else (net.padding,) * len(net.filters)
    for filters, padding in zip(net.filters, paddings, strict=True):
        for after in filters:
            if padding == "valid":
                height, width = height - net.kernel + 1, width - net.kernel + 1
            work += net.kernel**2 * channels * after * height * width
            channels = after
        height, width = height // 2, width // 2
    features = height * width * channels
    for units in (*net.dense, net.head_units or classes):
        work, features = work + features * units, units
    return work


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"filters": [[8, 8], [4], [6, 5]], "kernel": 5, "dense": []},
        {"padding": ["valid", "same", "valid"], "norm": ["none", "before_pool", "after_pool"]},
        {"dense": [12, 7], "dense_norm": [True, False], "dense_dropout": 0.5},
        {"head_units": 1},
    ],
)
def test_a_cnn_is_counted_as_from_its_config(changes: dict[str, Any]) -> None:
    net, classes = spec(**changes), 2 if "head_units" in changes else 9
    model = net.build((45, 52, 3), classes)
    found = flops.measure(model)
    assert found.multiply_adds == counted_by_hand(net, 45, 52, classes)
    assert found.parameters == model.count_params() and not found.uncounted


def test_the_published_network_costs_what_is_published_of_it() -> None:
    """M1 at 180x180: 92.6 million multiply-adds."""
    found = flops.measure(spec().build((180, 180, 3), 9))
    convolutions = 27 * 16 * 180**2 + 144 * 32 * 90**2 + 288 * 64 * 45**2
    assert found.multiply_adds == convolutions + 22 * 22 * 64 * 128 + 128 * 9
    assert found.parameters == 3_989_801


def test_a_residual_network_is_counted_by_hand() -> None:
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(inputs))
    x = layers.ReLU()(layers.GroupNormalization(4)(x))
    y = layers.Conv2D(16, 3, strides=2, padding="same")(x)
    y = layers.ReLU()(layers.GroupNormalization(4)(y))
    y = layers.Conv2D(16, 3, padding="same")(y)
    x = layers.ReLU()(layers.Add()([y, layers.Conv2D(16, 1, strides=2)(x)]))
    logits = layers.Dense(4)(layers.GlobalAveragePooling2D()(x))
    found = flops.measure(model_of(logits, inputs))
    stem = 27 * 8 * 256
    block = 9 * 8 * 16 * 64 + 9 * 16 * 16 * 64 + 8 * 16 * 64
    assert found.multiply_adds == stem + block + 16 * 4
    assert found.uncounted == ()


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), 9 * 12 * 64),
        (layers.SeparableConv2D(5, 3, padding="same"), 9 * 6 * 64 + 6 * 5 * 64),
        (layers.Conv2D(4, 3, groups=2, padding="same"), 9 * 3 * 4 * 64),
        (layers.Conv2D(4, 3, dilation_rate=2, padding="same"), 9 * 6 * 4 * 64),
        (layers.Conv2DTranspose(4, 3, strides=2, padding="same"), 9 * 6 * 4 * 64),
        (layers.Dense(5), 6 * 5 * 64),
        (layers.EinsumDense("bhwc,cd->bhwd", (8, 8, 5)), 6 * 5 * 64),
        (layers.MaxPooling2D(), 0),
        (layers.BatchNormalization(), 0),
        (layers.LayerNormalization(), 0),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_every_kind_of_layer_is_counted(layer: keras.Layer, expected: int) -> None:
    inputs = keras.Input((8, 8, 6))
    found = flops.measure(model_of(layer(inputs), inputs))
    assert (found.multiply_adds, found.uncounted) == (expected, ())


def test_attention_is_counted() -> None:
    inputs = keras.Input((10, 8))
    output = layers.MultiHeadAttention(2, 4, dropout=0.1)(inputs, inputs)
    found = flops.measure(model_of(output, inputs))
    projections, products = 4 * 10 * 8 * 8, 2 * (2 * 10 * 10 * 4)
    assert (found.multiply_adds, found.uncounted) == (projections + products, ())


def test_nested_and_shared_parts_count_each_time_they_are_called() -> None:
    inner_inputs = keras.Input((None, None, 3))
    inner = model_of(layers.Conv2D(3, 3, padding="same")(inner_inputs), inner_inputs)
    inputs = keras.Input((8, 8, 3))
    twice = inner(layers.MaxPooling2D()(inner(inputs)))
    nodes = len(inner.layers[1]._inbound_nodes)
    found = flops.measure(model_of(twice, inputs))
    assert found.multiply_adds == 81 * 64 + 81 * 16
    assert len(inner.layers[1]._inbound_nodes) == nodes  # left as it was


def test_what_cannot_be_counted_is_named() -> None:
    inputs = keras.Input((6, 3))
    found = flops.measure(model_of(layers.LSTM(4)(inputs), inputs))
    assert any("While" in name for name in found.uncounted)

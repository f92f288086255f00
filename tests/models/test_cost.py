"""Multiply-adds are counted from the spec; the weights counted on the way are Keras' own."""

from typing import Any

import pytest
from test_models import spec

from melanoma_exp.models import flops


def test_a_small_network_is_counted_by_hand() -> None:
    found = flops.count(spec(filters=[[4]], dense=[5], padding="valid"), (8, 8), 3)
    convolution = 3 * 3 * 3 * 4 * (6 * 6)
    dense = (3 * 3 * 4) * 5 + 5 * 3
    assert found.multiply_adds == convolution + dense
    assert found.flops == 2 * found.multiply_adds
    assert found.parameters == 27 * 4 + 4 + 36 * 5 + 5 + 15 + 3


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
def test_the_weights_are_those_that_keras_builds(changes: dict[str, Any]) -> None:
    net, classes = spec(**changes), 2 if "head_units" in changes else 9
    model = net.build((45, 52, 3), classes)
    assert flops.count(net, (45, 52), classes).parameters == model.count_params()

"""Private attributes of Keras are used in one module, and each as long as Keras needs it.

A test that says "can go" fails with a Keras that offers the same: then what it names is deleted.
What replicas need is in tests/distribution: test_keras_20585.py and test_distribution.py.
"""

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import melanoma_exp
from melanoma_exp.training import keras_internals

PACKAGE = Path(melanoma_exp.__file__).parent


def test_no_other_module_uses_them() -> None:
    inside = Path(keras_internals.__file__).read_text()
    private = set(re.findall(r"\.(_[a-z]\w+)|def (_[a-z]\w+)", inside))
    names = {name for pair in private for name in pair if name}
    assert {"_flatten_layers", "_moments", "_symbolic_build"} <= names
    pattern = re.compile(rf"\b({'|'.join(names)})\b|__class__ =|keras\.src")
    for path in PACKAGE.rglob("*.py"):
        if path.name != "keras_internals.py":
            assert not pattern.search(path.read_text()), path


def operations(work: Any, *arguments: Any) -> list[str]:
    """The kinds of TensorFlow's operations in a function, in the order of their making."""
    graph = tf.function(work, autograph=False).get_concrete_function(*arguments).graph
    return [operation.type for operation in graph.get_operations()]


def test_keras_dropout_still_draws_32_bits_a_value() -> None:
    """Else `fused.Dropout` can go."""
    layer = keras.layers.Dropout(0.2, seed=1)
    kinds = operations(lambda: layer(tf.ones((4, 5)), training=True))
    assert "StatelessRandomUniformV2" in kinds and "Bitcast" not in kinds


def test_keras_still_rectifies_before_it_pools() -> None:
    """Else `fused.RectifiedMaxPooling2D` can go, and `only_producer` with it."""
    conv, pool = keras.layers.Conv2D(2, 3, activation="relu"), keras.layers.MaxPooling2D()
    kinds = operations(lambda: pool(conv(tf.ones((1, 8, 8, 3)))))
    assert kinds.index("Relu") < kinds.index("MaxPool")


def test_keras_batch_norm_is_still_many_operations() -> None:
    """Else `fused.BatchNormalization` can go."""
    layer = keras.layers.BatchNormalization()
    kinds = operations(lambda: layer(tf.ones((2, 4, 4, 3)), training=True))
    assert "FusedBatchNormV3" not in kinds and "SquaredDifference" in kinds


def test_keras_adam_is_still_many_operations() -> None:
    """Else `fused.Adam`, `fused.AdamW` and `AdamState` can go."""
    optimizer, weight = keras.optimizers.Adam(), keras.Variable(np.ones(3, np.float32))
    optimizer.build([weight])
    kinds = operations(lambda: optimizer.apply([tf.ones(3)]))
    assert "ResourceApplyAdam" not in kinds and kinds.count("AssignSubVariableOp") == 1


@pytest.fixture
def nested() -> keras.Model:
    inputs = keras.Input((4,))
    own = keras.Input((4,))
    inner = keras.Model(own, keras.layers.Dense(3)(own), name="inner")
    return keras.Model(inputs, keras.layers.Dense(2)(inner(inputs)))


def test_a_clone_still_has_other_weights(nested: keras.Model) -> None:
    """Else layers can be replaced by `clone_model`, and `change_class` can go."""
    clone = keras.models.clone_model(
        nested, clone_function=lambda layer: layer.from_config(layer.get_config())
    )
    assert not np.array_equal(clone.get_weights()[0], nested.get_weights()[0])


def test_the_output_of_a_nested_model_is_still_of_its_own_graph(nested: keras.Model) -> None:
    """Else `output_in` can go."""
    ours = keras_internals.output_in(nested, "inner")
    assert keras.Model(nested.inputs, ours).output.shape == (None, 3)
    assert nested.get_layer("inner").output is not ours


def test_layers_within_layers_are_still_listed_nowhere_else() -> None:
    """Else `all_layers` can go."""

    class Block(keras.layers.Layer):
        def __init__(self) -> None:
            super().__init__()
            self.dropout = keras.layers.Dropout(0.1)

        def call(self, inputs: Any) -> Any:
            return self.dropout(inputs)

    inputs = keras.Input((4,))
    model = keras.Model(inputs, Block()(inputs))
    drops = [isinstance(layer, keras.layers.Dropout) for layer in keras_internals.all_layers(model)]
    assert any(drops) and not any(isinstance(x, keras.layers.Dropout) for x in model.layers)

"""A network as a LiteRT (TensorFlow Lite) file, which predicts without TensorFlow.

TensorFlow takes seconds to import, LiteRT a tenth of one. The file is written by what TensorFlow
ships, and holds the same graph in float32 with the views of `inference` inside.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.training import process

if TYPE_CHECKING:
    import keras

# What is said of every network, right or wrong.
HIDDEN = ("XNNPACK delegate", "absl::InitializeLog", "oneDNN", "tf_tfl_flatbuffer")


class LightNetwork:
    """Computes what the Keras network does, but for the order of sums."""

    def __init__(self, content: bytes) -> None:
        """Reads a network.

        Args:
            content: Of a file.

        Raises:
            ValueError: It is none, or has operations that LiteRT does not know.
        """
        from ai_edge_litert.interpreter import Interpreter

        with process.without_lines(HIDDEN):
            self._interpreter = Interpreter(model_content=content, num_threads=os.cpu_count())
            self._entries = self._interpreter.get_input_details()
            (self._out,) = self._interpreter.get_output_details()
            self._interpreter.allocate_tensors()
        self._shapes: list[tuple[int, ...]] = []

    def predict_on_batch(self, inputs: Any) -> np.ndarray:
        """Returns logits float32 (n, c).

        Args:
            inputs: Images uint8 (n, h, w, 3), or a pair of them and metadata float32 (n, size).
        """
        given = inputs if isinstance(inputs, tuple) else (inputs,)
        # Inputs may change places, and images alone are bytes.
        values = [next(x for x in given if x.dtype == entry["dtype"]) for entry in self._entries]
        shapes = [x.shape for x in values]
        if shapes != self._shapes:
            for entry, shape in zip(self._entries, shapes, strict=True):
                self._interpreter.resize_tensor_input(entry["index"], shape)
            self._interpreter.allocate_tensors()
            self._shapes = shapes
        for entry, x in zip(self._entries, values, strict=True):
            self._interpreter.set_tensor(entry["index"], x)
        self._interpreter.invoke()
        return np.asarray(self._interpreter.get_tensor(self._out["index"]))


def convert(network: "keras.Model") -> bytes:
    """Returns the content of a file.

    Weights are made constants first: left to itself, TensorFlow's converter imports the graph seven
    times, 3.0 CPU-s for a residual network instead of 0.6.

    Args:
        network: Of float32, uint8 (b, h, w, 3) and maybe metadata to logits (b, c).

    Raises:
        Exception: An operation has no counterpart; converters raise anything.
    """
    import tensorflow as tf
    from tensorflow.python.framework import convert_to_constants

    taken = [tf.TensorSpec((None, *x.shape[1:]), x.dtype) for x in network.inputs]

    def forward(*inputs: Any) -> Any:
        return network(inputs if len(inputs) > 1 else inputs[0], training=False)

    with _quiet():
        traced = tf.function(forward, taken, autograph=False).get_concrete_function()
        constant = convert_to_constants.convert_variables_to_constants_v2(traced)
        content: bytes = tf.lite.TFLiteConverter.from_concrete_functions([constant]).convert()
    return content


@contextmanager
def _quiet() -> Iterator[None]:
    log = logging.getLogger("absl")
    before = log.level
    log.setLevel(logging.ERROR)  # a hint to give what constant weights do not need
    try:
        with process.without_lines(HIDDEN):
            yield
    finally:
        log.setLevel(before)


def write(network: "keras.Model", path: Path) -> None:
    """Writes a file; errors as of `convert`."""
    path.write_bytes(convert(network))

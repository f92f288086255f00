"""Exports a run's network to other formats, and checks that the predictions agree.

Every format takes uint8 (n, h, w, 3), and a second input float32 (n, size) where the network reads
metadata, and gives logits float32 (n, classes); calibration, threshold and decoding stay with the
run. A file gets its final name only after its probabilities agree with
those of the network on real images.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.data.inputs.encoding import Row
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.prediction import light
from melanoma_exp.prediction.saved_model import SavedKerasModel
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

Logits = Callable[..., np.ndarray]  # of images, and of metadata where the network reads them


@dataclass(frozen=True)
class Format:
    """One export format.

    Attributes:
        suffix: Of the file; "" for a folder.
        tolerance: Largest accepted difference of a probability. Keras and SavedModel run the same
            operations; the other two sum in another order.
        needs: Packages besides TensorFlow.
        write: Writes the network to a path.
        read: Returns a function that computes the logits of the written file.
    """

    suffix: str
    tolerance: float
    needs: tuple[str, ...]
    write: Callable[["keras.Model", Path], None]
    read: Callable[[Path], Logits]


@dataclass(frozen=True)
class Exported:
    """An export, and the largest difference of a probability over the checked images."""

    path: Path
    difference: float
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether it may be used; otherwise no file was left."""
        return self.difference <= self.tolerance


def export(
    saved: SavedKerasModel,
    name: str,
    images: np.ndarray,
    target: Path,
    rows: Sequence[Row] | None = None,
) -> Exported:
    """Writes the network in one format and compares it with the original.

    Args:
        saved: The run, its network in float32.
        name: One of `FORMATS`.
        images: uint8 (n, h, w, 3), n >= 1, as the run decodes them.
        target: Path without suffix; an earlier export there is replaced once this one agrees.
        rows: The metadata of the images, text by column; None is unknown.

    Raises:
        UserError: A package is missing, or the file cannot be written.
    """
    chosen = FORMATS[name]
    missing = [package for package in chosen.needs if find_spec(package) is None]
    if missing:
        raise UserError(
            f"export: {name} needs {', '.join(missing)}; install melanoma_exp with its extra "
            "`export`: pip install -c constraints.txt '.[export]'"
        )
    final = target.with_name(target.name + chosen.suffix)
    metadata = saved.encode(rows or [{}] * len(images))
    inputs = (images,) if metadata is None else (images, metadata)
    wanted = softmax(saved.logits(*inputs))
    try:
        with tempfile.TemporaryDirectory(dir=final.parent, prefix=".export-") as folder:
            aside = Path(folder) / f"model{chosen.suffix}"
            with _quiet():
                found = softmax(_converted(name, chosen, saved.network, aside)(*inputs))
            result = Exported(final, float(np.abs(found - wanted).max()), chosen.tolerance)
            if result.agrees:
                if final.is_dir():
                    shutil.rmtree(final)
                aside.replace(final)
    except OSError as error:
        raise UserError(f"{final}: cannot be written: {error.strerror or error}") from error
    return result


def _converted(name: str, chosen: Format, network: "keras.Model", path: Path) -> Logits:
    """Writes the network and returns what computes the logits of the written file."""
    try:
        chosen.write(network, path)
        return chosen.read(path)
    except OSError:
        raise
    # Converters raise anything where a layer has no counterpart, or write what nothing can read.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"export: {name} cannot express this network: {reason}") from error


def _write_keras(network: "keras.Model", path: Path) -> None:
    network.save(path)


def _read_keras(path: Path) -> Logits:
    import keras

    loaded = keras.models.load_model(path, compile=False, safe_mode=True)
    return lambda *inputs: np.asarray(loaded(_one_or_all(inputs)))


def _write_savedmodel(network: "keras.Model", path: Path) -> None:
    network.export(path, format="tf_saved_model", verbose=False)


def _read_savedmodel(path: Path) -> Logits:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))  # owns the weights: `serve` alone would lose them
    return lambda *inputs: np.asarray(loaded.serve(_one_or_all(inputs)))


def _write_onnx(network: "keras.Model", path: Path) -> None:
    import keras

    from melanoma_exp.training import keras_internals

    def gelu(x: Any) -> Any:
        return 0.5 * x * (1 + keras.ops.erf(x / 2**0.5))

    # TensorFlow computes GELU with Erfc, which ONNX does not have.
    exact = [
        layer
        for layer in keras_internals.all_layers(network)
        if getattr(layer, "activation", None) is keras.activations.gelu
    ]
    try:
        for layer in exact:
            layer.activation = gelu
        network.export(path, format="onnx", verbose=False)
    finally:
        for layer in exact:
            layer.activation = keras.activations.gelu


def _read_onnx(path: Path) -> Logits:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [one.name for one in session.get_inputs()]
    return lambda *inputs: session.run(None, dict(zip(names, inputs, strict=True)))[0]


def _read_tflite(path: Path) -> Logits:
    loaded = light.LightNetwork(path.read_bytes())
    return lambda *inputs: loaded.predict_on_batch(_one_or_all(inputs))


def _one_or_all(inputs: Sequence[np.ndarray]) -> Any:
    return inputs[0] if len(inputs) == 1 else tuple(inputs)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what converters print; their errors are raised all the same."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        yield


FORMATS = {
    "keras": Format(".keras", 1e-6, (), _write_keras, _read_keras),
    "savedmodel": Format("", 1e-6, (), _write_savedmodel, _read_savedmodel),
    "onnx": Format(".onnx", 1e-4, ("onnx", "onnxruntime", "tf2onnx"), _write_onnx, _read_onnx),
    "tflite": Format(".tflite", 1e-4, (), light.write, _read_tflite),
}

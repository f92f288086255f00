"""The files of a run that predict: weights, light network, and what goes with them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp import prediction
from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.loader import Loader
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.prediction import light, manifest, saved_model
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.tracking.base import Run

if TYPE_CHECKING:
    import keras

CHECKED, BATCH = 32, 8  # validation images
# Largest accepted difference of a calibrated probability on them. Sums are taken in another order:
# trained networks of this project differ by 2e-7 to 2e-6, Keras from itself by up to 4e-6 where an
# image is predicted alone instead of in a batch.
TOLERANCE = 5e-6
TAG = "light_network"


def record(
    run: Run,
    folder: Path,
    experiment: Experiment,
    datamodule: DataModule,
    network: "keras.Model",
    decision: Decision,
) -> None:
    """Logs what `predict` reads and the model that MLflow serves.

    Args:
        run: Where to.
        folder: Holds the weights and `experiment.json`; further files are made there.
        experiment: What was run.
        datamodule: Its data.
        network: The trained network without views.
        decision: Made on validation.
    """
    files = {name: folder / name for name in saved_model.FILES}
    # Again: another version may have begun the run, and written the same config differently.
    run.log_file(files[manifest.EXPERIMENT])
    _write(run, files[manifest.DECISION], decision.to_json())
    found = _write_light(folder / manifest.LIGHT, experiment, datamodule, network, decision)
    if (folder / manifest.LIGHT).exists():
        files[manifest.LIGHT] = folder / manifest.LIGHT
        run.log_file(files[manifest.LIGHT])
    run.set_tags({TAG: found})
    described = Manifest.of(datamodule.classes, files, datamodule.encoding)
    _write(run, files[manifest.NAME], described.to_json())
    columns = {} if datamodule.encoding is None else datamodule.encoding.types
    run.log_model(Path(prediction.__file__).with_name("served_model.py"), files, columns)


def _write(run: Run, path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    run.log_file(path)


def _write_light(
    path: Path,
    experiment: Experiment,
    datamodule: DataModule,
    network: "keras.Model",
    decision: Decision,
) -> str:
    """Writes the light form of a network if it predicts the same; returns what was found.

    Nothing that is wrong with it may stop a run: `predict` then uses Keras.
    """
    precision = experiment.train.precision
    if precision != "float32":
        return f"none: the network computes in {precision}, it would in float32"
    viewed = experiment.inference.wrap(network)
    try:
        content = light.convert(viewed)
        converted = light.LightNetwork(content)
        images, difference, flips = _compare(viewed, converted, datamodule, decision)
    except Exception as error:  # converters raise anything where an operation has no counterpart
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        return f"none: {reason}"
    said = f"probabilities differ by {difference:.1e} at most on {images} validation images"
    if flips or not difference <= TOLERANCE:  # also where it is not a number
        return f"none: {said}" + f", {flips} alerts too" * bool(flips)
    path.write_bytes(content)
    return said


def _compare(
    network: "keras.Model",
    converted: light.LightNetwork,
    datamodule: DataModule,
    decision: Decision,
) -> tuple[int, float, int]:
    """Returns the number of images, the largest difference of a probability and of other alerts."""
    import keras

    val = datamodule.parts.val
    some = val.take(np.linspace(0, len(val) - 1, min(len(val), CHECKED)).astype(np.int64))
    loader = Loader(some, datamodule.reader, BATCH)
    differences, flips = [0.0], 0
    for step in range(loader.steps):
        inputs: Any = loader.batch(0, step)[0]
        with keras.device("cpu:0"):
            wanted = np.asarray(network.predict_on_batch(inputs), np.float64)
        found = converted.predict_on_batch(inputs)
        one, other = decision.class_probability(wanted), decision.class_probability(found)
        differences.append(float(np.abs(one - other).max()))
        first, second = (
            decision.alerts(decision.probability(x, datamodule.classes)) for x in (wanted, found)
        )
        flips += int((first != second).sum())
    return len(some), float(np.max(differences)), flips

"""A finished run's network, ready to predict.

It is read from a LiteRT file, without TensorFlow; where the run has none, or the Keras network is
needed, the architecture is built from the run's own `experiment.json` and the weights come from an
HDF5 file. The run recorded the checksum of each. Nothing is unpickled and no code is loaded from a
file.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from melanoma_exp.config import Experiment, parse_json
from melanoma_exp.data.decode import decode
from melanoma_exp.data.inputs.encoding import Encoding
from melanoma_exp.evaluation.logits import check_weights
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.out_of_distribution import OutOfDistribution
from melanoma_exp.models import metadata_branch
from melanoma_exp.prediction import light, manifest
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

    from melanoma_exp.tracking.archive import Archive

VIEWS = 64  # views that the network sees at once, where an image has several
FILES = (manifest.EXPERIMENT, manifest.NAME, manifest.DECISION, manifest.WEIGHTS)


class Network(Protocol):
    """Computes logits."""

    def predict_on_batch(self, inputs: Any) -> np.ndarray:
        """Returns float32 (n, classes) of images, or of a pair of them and metadata."""


@dataclass(frozen=True)
class SavedModel:
    """A run's network with its decision rule.

    Attributes:
        name: The run's name.
        experiment: The config of the run.
        classes: In the order of the logits.
        decision: Calibration, threshold and unsure band, chosen on validation.
        out_of_distribution: Score of unusual images; None where the run had too few images.
        network: Images uint8 (n, h, w, 3) to logits float32 (n, classes), of all views of the run's
            `inference`; where there is an encoding, images and metadata float32 (n, size).
        encoding: Of the metadata that the network takes, None where it takes images alone.
    """

    name: str
    experiment: Experiment
    classes: tuple[str, ...]
    decision: Decision
    out_of_distribution: OutOfDistribution | None
    network: Network
    encoding: Encoding | None

    def decode(self, source: Path | bytes) -> np.ndarray:
        """Decodes an image as the run's training did.

        Raises:
            ValueError: It is not a readable image, with the reason.
        """
        dataset = self.experiment.dataset
        return decode(source, dataset.image_size, dataset.resize, dataset.max_pixels)

    def encode(self, rows: Sequence[Mapping[str, str]]) -> np.ndarray | None:
        """Returns the vectors of images' metadata, None where the network takes images alone.

        Args:
            rows: By column its text; what is missing is unknown.

        Raises:
            ValueError: A text is no number where one is expected.
        """
        return None if self.encoding is None else self.encoding.encode(rows)

    def logits(self, images: np.ndarray, metadata: np.ndarray | None = None) -> np.ndarray:
        """Returns the logits, float32 (n, classes).

        Args:
            images: uint8 (n, h, w, 3), as `decode` gives them.
            metadata: As `encode` gives them; None is unknown.
        """
        if metadata is None:
            metadata = self.encode([{}] * len(images))
        height, width = images.shape[1:3]
        views = self.experiment.inference.count(height, width)
        views *= self.experiment.model.views(height, width)
        step = max(VIEWS // views, 1) if views > 1 else len(images)
        found = []
        for k in range(0, len(images), step):
            some = images[k : k + step]
            inputs = some if metadata is None else (some, metadata[k : k + step])
            found.append(self.network.predict_on_batch(inputs))
        return np.concatenate(found, dtype=np.float32)


@dataclass(frozen=True)
class SavedKerasModel(SavedModel):
    """The same with the Keras network.

    Attributes:
        network: With the views.
        trained: The network without views, which Grad-CAM explains.
    """

    network: "keras.Model"
    trained: "keras.Model"


def fetch(archive: "Archive", run_id: str) -> tuple[str, dict[str, Path]]:
    """Returns a run's name and local copies of the files a prediction needs.

    The LiteRT file is among them where the run has one, and nobody has deleted it.

    Raises:
        UserError: There is no such run, it is not finished, or a file is missing.
    """
    run = archive.run(run_id)
    run.check_trained()
    if run.deleted:
        raise UserError(f"run {run_id} is deleted; `mlflow runs restore` brings it back")
    if run.status != "FINISHED":
        raise UserError(
            f"run {run_id} is {run.status}, not FINISHED: its weights may not be final; choose a "
            f"finished run, or complete this one with: melanoma-exp resume {run_id}"
        )
    files = {name: archive.file(run_id, name) for name in FILES}
    if Manifest.read(files[manifest.NAME]).light_sha256 is not None:
        with suppress(UserError):
            files[manifest.LIGHT] = archive.file(run_id, manifest.LIGHT)
    return run.name, files


def load_light(name: str, files: dict[str, Path]) -> SavedModel:
    """Reads the network without TensorFlow; where the run has no such file, as `load` does.

    Args:
        name: The run's name.
        files: The path of each of `FILES`, and of the LiteRT file.

    Raises:
        UserError: A file is damaged or not the one that the run recorded.
    """
    described = Manifest.read(files[manifest.NAME])
    if manifest.LIGHT not in files or described.light_sha256 is None:
        return load(name, files)
    experiment, decision = read_config(described, files, needs={"model"})
    path = files[manifest.LIGHT]
    try:
        network = light.LightNetwork(described.read_light(path))
    except ValueError as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(f"{path}: cannot be read; without it Keras predicts: {reason}") from None
    fitted, classes = _out_of_distribution(decision), described.classes
    return SavedModel(name, experiment, classes, decision, fitted, network, described.metadata)


def load(name: str, files: dict[str, Path], precision: str | None = None) -> SavedKerasModel:
    """Builds the Keras network and reads its weights.

    Args:
        name: The run's name.
        files: The path of each of `FILES`.
        precision: To compute in, instead of the run's own.

    Raises:
        UserError: A file is damaged or not the one that the run recorded, or holds weights that are
            not numbers.
    """
    described = Manifest.read(files[manifest.NAME])
    experiment, decision = read_config(described, files, needs={"model"})
    described.check_weights(files[manifest.WEIGHTS])
    fitted = _out_of_distribution(decision)
    network = _network(experiment, described, precision)
    try:
        network.load_weights(files[manifest.WEIGHTS])
    except (OSError, KeyError, ValueError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{files[manifest.WEIGHTS]}: does not hold the weights of {experiment.model.name}: "
            f"{reason}"
        ) from None
    check_weights(network, files[manifest.WEIGHTS])
    viewed = experiment.inference.wrap(network)
    classes, encoding = described.classes, described.metadata
    return SavedKerasModel(
        name, experiment, classes, decision, fitted, viewed, encoding, trained=network
    )


def _out_of_distribution(decision: Decision) -> OutOfDistribution | None:
    content = decision.out_of_distribution
    return OutOfDistribution.from_dict(content) if content else None


def read_config(
    described: Manifest, files: Mapping[str, Path], needs: Collection[str] | None = None
) -> tuple[Experiment, Decision]:
    """Reads a run's experiment and decision.

    Args:
        described: The run's `model.json`.
        files: The path of each of `FILES`.
        needs: As of `config.parse_json`.

    Raises:
        UserError: One is damaged, or not the one that the run recorded.
    """
    texts = [
        described.read_text(name, files[name]) for name in (manifest.EXPERIMENT, manifest.DECISION)
    ]
    return parse_json(texts[0], needs), Decision.from_json(texts[1])


def _network(experiment: Experiment, described: Manifest, precision: str | None) -> "keras.Model":
    from melanoma_exp.training import process

    # Freed memory goes back to the system here: a server would keep that of its largest pictures.
    process.import_tensorflow()
    import keras
    import tensorflow as tf

    from melanoma_exp.training.optim import POLICIES

    precision = precision or experiment.train.precision
    if precision == "float16" and not tf.config.list_physical_devices("GPU"):
        precision = "float32"  # CPUs emulate float16; the weights are float32 either way
    keras.config.set_dtype_policy(POLICIES[precision])
    height, width = experiment.dataset.image_size
    network = experiment.model.build((height, width, 3), len(described.classes))
    if (encoding := described.metadata) is None:
        return network
    return metadata_branch.join(network, experiment.model, encoding.size, encoding.units)

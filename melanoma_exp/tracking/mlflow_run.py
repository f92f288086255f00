"""A run in MLflow, written while it lasts."""

import math
import time
import warnings
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from mlflow.types.schema import Map

from melanoma_exp.tracking.connection import connect, told

REQUIREMENTS = (
    "tensorflow", "keras", "numpy", "opencv-python-headless", "pillow", "pydantic", "scikit-learn"
)  # fmt: skip
ANSWER: list[
    Any
] = [  # of the served model, for each image; all but the last two are absent on an error
    ColSpec("string", "advice", required=False),
    ColSpec("boolean", "alert", required=False),
    ColSpec("double", "alert_probability", required=False),
    ColSpec("boolean", "unsure", required=False),
    ColSpec("string", "unusual", required=False),
    ColSpec("string", "predicted", required=False),
    ColSpec(Map(DataType.double), "probabilities", required=False),
    ColSpec("string", "error", required=False),
    ColSpec("string", "notice"),
]


class MlflowRun:
    """One MLflow run, its system metrics sampled while it lasts."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        name: str,
        artifacts: str | None,
        resumed: str | None = None,
    ) -> None:
        """Starts the run.

        Args:
            uri: The tracking URI.
            experiment: Made if there is none of that name.
            name: The run's name.
            artifacts: Where a new experiment keeps artifacts; None leaves it to the server.
            resumed: The id of an unfinished run to go on with, its name and place as they are.
                Figures that it has already are not logged again.

        Raises:
            UserError: The store cannot be reached or refuses the experiment.
        """
        self._client = connect(uri)
        mlflow.set_system_metrics_sampling_interval(5)
        with told(uri):
            if resumed is not None:
                active = mlflow.start_run(resumed, log_system_metrics=True)
            else:
                place = place_of(experiment, artifacts)
                active = mlflow.start_run(
                    run_name=name, experiment_id=place, log_system_metrics=True
                )
        self._uri = uri
        self.id = active.info.run_id
        self._is_resumed = resumed is not None
        self._known: dict[str, set[int]] = {}

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""
        with told(self._uri):
            entries = [Param(key, str(value)) for key, value in params.items()]
            for start in range(0, len(entries), 100):
                self._client.log_batch(self.id, params=entries[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records figures in one request; those that are not a number are left out."""
        with told(self._uri):
            now = int(time.time() * 1000)
            entries = [
                Metric(key, value, now, step or 0)
                for key, value in metrics.items()
                if not math.isnan(value) and (step or 0) not in self._steps(key)
            ]
            self._client.log_batch(self.id, metrics=entries)

    def _steps(self, key: str) -> set[int]:
        """Returns the steps at which a resumed run has a figure already."""
        if not self._is_resumed:
            return set()
        if key not in self._known:
            history = self._client.get_metric_history(self.id, key)
            self._known[key] = {point.step for point in history}
        return self._known[key]

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""
        with told(self._uri):
            self._client.log_batch(self.id, tags=[RunTag(k, str(v)) for k, v in tags.items()])

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records what data went in, as an MLflow dataset input."""
        with told(self._uri):
            place = CodeDatasetSource({"location": source, **profile})
            data = MetaDataset(place, name=name, digest=digest)  # type: ignore[abstract]
            mlflow.log_input(data, context="training")

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keeps a file, below `folder` of the run's artifacts."""
        with told(self._uri):
            self._client.log_artifact(self.id, str(path), folder or None)

    def log_model(self, code: Path, files: Mapping[str, Path]) -> None:
        """Keeps a model that `mlflow models serve` serves, bytes of images to records."""
        with told(self._uri), warnings.catch_warnings():
            warnings.filterwarnings("ignore", ".*An input example", UserWarning)
            warnings.filterwarnings("ignore", ".*Add type hints", UserWarning)
            mlflow.pyfunc.log_model(
                name="model",
                python_model=str(code),
                artifacts={name: str(path) for name, path in files.items()},
                signature=ModelSignature(Schema([ColSpec("binary", "image")]), Schema(ANSWER)),
                # Without this MLflow imports the model in a subprocess to guess: 15 to 20 seconds.
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            )

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes the run."""
        with told(self._uri):
            mlflow.end_run(status)


def place_of(experiment: str, artifacts: str | None) -> str:
    """Returns the id of an experiment, made if there is none of that name."""
    known = mlflow.get_experiment_by_name(experiment)
    return known.experiment_id if known else _create(experiment, artifacts)


def _create(experiment: str, artifacts: str | None) -> str:
    try:
        return mlflow.create_experiment(experiment, artifact_location=artifacts)
    except MlflowException:  # another process was first
        known = mlflow.get_experiment_by_name(experiment)
        if known is None:
            raise
        return known.experiment_id

"""Runs in MLflow. The only module that imports it."""

import fcntl
import logging
import math
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import mlflow
import numpy as np
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from melanoma_exp.spec import UserError

REQUIREMENTS = ("tensorflow", "keras", "numpy")


@contextmanager
def _told(what: str) -> Iterator[None]:
    """Turns what goes wrong in the store into one line: unreachable, locked, disk full."""
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise UserError(f"tracking: {what} cannot be used: {_first_line(error)}") from error


def prepare_local(folder: Path, uri: str) -> None:
    """Makes the SQLite store, once, however many processes start at the same time.

    Args:
        folder: Holds the database and the artifacts.
        uri: Of the database.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "mlflow.lock").open("w") as lock:
            # Alembic destroys a database that two processes migrate at once.
            fcntl.flock(lock, fcntl.LOCK_EX)
            _quiet()
            mlflow.set_tracking_uri(uri)
            with _told(uri):
                mlflow.search_experiments(max_results=1)
    except OSError as error:
        raise UserError(f"tracking.folder: cannot write {folder}: {error.strerror}") from error


class MlflowRun:
    """One MLflow run, its system metrics sampled while it lasts."""

    def __init__(self, uri: str, experiment: str, name: str, artifacts: str | None) -> None:
        """Starts the run.

        Args:
            uri: The tracking URI.
            experiment: Made if there is none of that name.
            name: The run's name.
            artifacts: Where a new experiment keeps artifacts; None leaves it to the server.

        Raises:
            UserError: The store cannot be reached or refuses the experiment.
        """
        _quiet()
        _check_server(uri)
        mlflow.set_tracking_uri(uri)
        mlflow.set_system_metrics_sampling_interval(5)
        with _told(uri):
            known = mlflow.get_experiment_by_name(experiment)
            place = known.experiment_id if known else _create(experiment, artifacts)
            active = mlflow.start_run(run_name=name, experiment_id=place, log_system_metrics=True)
        self._uri = uri
        self.id = active.info.run_id
        self._client = mlflow.MlflowClient(uri)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""
        with _told(self._uri):
            entries = [Param(key, str(value)) for key, value in params.items()]
            for start in range(0, len(entries), 100):
                self._client.log_batch(self.id, params=entries[start : start + 100])

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records figures in one request; those that are not a number are left out."""
        with _told(self._uri):
            now = int(time.time() * 1000)
            entries = [
                Metric(key, value, now, step or 0)
                for key, value in metrics.items()
                if not math.isnan(value)
            ]
            self._client.log_batch(self.id, metrics=entries)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""
        with _told(self._uri):
            self._client.log_batch(self.id, tags=[RunTag(k, str(v)) for k, v in tags.items()])

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records what data went in, as an MLflow dataset input."""
        with _told(self._uri):
            place = CodeDatasetSource({"location": source, **profile})
            data = MetaDataset(place, name=name, digest=digest)  # type: ignore[abstract]
            mlflow.log_input(data, context="training")

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keeps a file, below `folder` of the run's artifacts."""
        with _told(self._uri):
            self._client.log_artifact(self.id, str(path), folder or None)

    def log_model(self, model: Any, example: Any) -> None:
        """Keeps a Keras model with the signature of an example batch."""
        with _told(self._uri):
            signature = mlflow.models.infer_signature(example, np.asarray(model(example)))
            mlflow.keras.log_model(
                model,
                name="model",
                signature=signature,
                # Without this MLflow imports the model in a subprocess to guess: 15 to 20 seconds.
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
            )

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes the run."""
        with _told(self._uri):
            mlflow.end_run(status)


def load_experiment_json(uri: str, run_id: str) -> str:
    """Returns the text of a run's `experiment.json`.

    Raises:
        UserError: There is no such run, or it has no such artifact.
    """
    _quiet()
    _check_server(uri)
    try:
        mlflow.set_tracking_uri(uri)
        return mlflow.artifacts.load_text(f"runs:/{run_id}/experiment.json")
    except (MlflowException, OSError) as error:
        raise UserError(f"{uri} has no run {run_id} to replay: {_first_line(error)}") from error


def _check_server(uri: str) -> None:
    """Asks an HTTP server once whether it is there; MLflow itself would try for minutes."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()
    except urllib.error.HTTPError:
        pass  # it answers, and says in its own words later what it refuses
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"tracking.uri: no MLflow server answers at {uri}: {reason}") from error


def _create(experiment: str, artifacts: str | None) -> str:
    try:
        return mlflow.create_experiment(experiment, artifact_location=artifacts)
    except MlflowException:  # another process was first
        known = mlflow.get_experiment_by_name(experiment)
        if known is None:
            raise
        return known.experiment_id


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _quiet() -> None:
    """Keeps migrations and hints off the user's screen; warnings and errors stay."""
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)

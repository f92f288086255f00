"""A run that is recorded with MLflow while it lasts."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from melanoma_exp.tracking import servable
from melanoma_exp.tracking.base import Status
from melanoma_exp.tracking.connection import connect, request_timeout, store_errors
from melanoma_exp.tracking.journal import Entry, Journal
from melanoma_exp.tracking.mlflow_store import SLOW, MlflowStore
from melanoma_exp.tracking.sampler import Sampler
from melanoma_exp.tracking.upload import Uploader


class MlflowRun:
    """One MLflow run; system metrics are sampled while it lasts.

    It continues when the store is lost: what it logs waits in its journal.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        artifact_root: str | None,
        journals: Path,
        name: str,
        resumed: str | None = None,
    ) -> None:
        """Starts the run.

        Args:
            uri: Of the store.
            experiment: Its MLflow experiment, created if there is none of that name.
            artifact_root: The URI below which a new experiment saves artifacts; None: the server's.
            journals: The folder of the journals of runs.
            name: The run's name.
            resumed: The id of an unfinished run to continue, under its own name and experiment.
                Metrics that it has already are not logged again.

        Raises:
            UserError: The store cannot be reached or refuses the experiment.
        """
        client = connect(uri)
        if resumed is None:
            with store_errors(uri), request_timeout(SLOW):
                number = experiment_id(experiment, artifact_root)
                run = client.create_run(number, tags=resolve_tags(), run_name=name)
        self.id = resumed or run.info.run_id
        journal = Journal(self.id, journals)
        self._uploader = Uploader(MlflowStore(client, uri, self.id), journal, name)
        if resumed is not None:  # after the status with which the interrupted process ended
            with store_errors(uri):
                client.update_run(self.id, "RUNNING")
        self._sampler = Sampler(self.id, self.log_metrics, resumed is not None)
        self._sampler.start()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""
        self._uploader.send(Entry("params", {key: str(value) for key, value in params.items()}))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records metrics in one request; NaN is left out."""
        now = int(time.time() * 1000)
        points = [
            [key, float(value), now, step or 0]
            for key, value in metrics.items()
            if not math.isnan(value)
        ]
        if points:
            self._uploader.send(Entry("metrics", points))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""
        self._uploader.send(Entry("tags", {key: str(value) for key, value in tags.items()}))

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records the dataset as an MLflow dataset input."""
        code = CodeDatasetSource({"location": source, **profile})
        data = MetaDataset(code, name=name, digest=digest)  # type: ignore[abstract]
        self._uploader.send(Entry("dataset", data.to_dict()))

    def log_file(self, path: Path, folder: str = "") -> None:
        """Saves a file below `folder` of the run's artifacts."""
        self._uploader.send(Entry("file", {"folder": folder}, path))

    def log_model(self, code: Path, files: Mapping[str, Path]) -> None:
        """Saves a model that `mlflow models serve` serves: bytes of images to records."""
        with TemporaryDirectory() as parent:
            folder = Path(parent) / "model"
            servable.write(folder, code, files)
            self._uploader.send(Entry("model", {}, folder))

    def end(self, status: Status) -> None:
        """Closes the run."""
        self._sampler.finish()
        content = {"status": status, "time": int(time.time() * 1000)}
        self._uploader.close(Entry("status", content))


def experiment_id(name: str, artifact_root: str | None) -> str:
    """Returns the id of an experiment, created if there is none of that name."""
    known = mlflow.get_experiment_by_name(name)
    if known is None:
        try:
            return mlflow.create_experiment(name, artifact_location=artifact_root)
        except MlflowException:  # another process was first
            known = mlflow.get_experiment_by_name(name)
            if known is None:
                raise
    return known.experiment_id

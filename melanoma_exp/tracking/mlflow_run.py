"""A run in MLflow, written while it lasts."""

import math
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.tracking.context.registry import resolve_tags

from melanoma_exp.tracking import servable
from melanoma_exp.tracking.connection import check, connect, request_timeout, store_errors
from melanoma_exp.tracking.delivery import SLOW, Store
from melanoma_exp.tracking.outbox import Outbox
from melanoma_exp.tracking.sampler import Sampler
from melanoma_exp.tracking.spool import Entry, Spool


class MlflowRun:
    """One MLflow run, system metrics sampled while it lasts."""

    def __init__(
        self,
        uri: str,
        experiment: str,
        name: str,
        artifacts: str | None,
        resumed: str | None = None,
        spooled: bool = False,
    ) -> None:
        """Starts the run.

        Args:
            uri: The tracking URI.
            experiment: Made if there is none of that name.
            name: The run's name.
            artifacts: Where a new experiment keeps artifacts; None leaves it to the server.
            resumed: The id of an unfinished run to go on with, its name and place as they are.
                Figures that it has already are not logged again.
            spooled: Whether the run goes on when the store is lost, its record kept on disk.

        Raises:
            UserError: The store cannot be reached or refuses the experiment.
        """
        client = connect(uri)
        with store_errors(uri), request_timeout(SLOW):
            if resumed is None:
                place = place_of(experiment, artifacts)
                self.id = client.create_run(place, tags=resolve_tags(), run_name=name).info.run_id
            else:
                self.id = resumed
        spool = Spool(self.id) if spooled else None
        self._outbox = Outbox(
            Store(client, uri, self.id),
            spool,
            (uri, name),
            lambda: check(client, uri),
            resumed is not None,
        )
        if resumed is not None:  # after what waited of its earlier end is delivered
            with store_errors(uri):
                client.update_run(self.id, "RUNNING")
        self._sampler = Sampler(self.id, self.log_metrics, resumed is not None)
        self._sampler.start()

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""
        self._outbox.send(Entry("params", {key: str(value) for key, value in params.items()}))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records figures in one request; those that are not a number are left out."""
        now = int(time.time() * 1000)
        points = [
            [key, float(value), now, step or 0]
            for key, value in metrics.items()
            if not math.isnan(value)
        ]
        if points:
            self._outbox.send(Entry("metrics", points))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""
        self._outbox.send(Entry("tags", {key: str(value) for key, value in tags.items()}))

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records what data went in, as an MLflow dataset input."""
        place = CodeDatasetSource({"location": source, **profile})
        data = MetaDataset(place, name=name, digest=digest)  # type: ignore[abstract]
        self._outbox.send(Entry("dataset", data.to_dict()))

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keeps a file, below `folder` of the run's artifacts."""
        self._outbox.send(Entry("file", {"folder": folder}, path))

    def log_model(self, code: Path, files: Mapping[str, Path]) -> None:
        """Keeps a model that `mlflow models serve` serves, bytes of images to records."""
        with TemporaryDirectory() as place:
            folder = Path(place) / "model"
            servable.write(folder, code, files)
            self._outbox.send(Entry("model", {}, folder))

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes the run."""
        self._sampler.finish()
        content = {"status": status, "time": int(time.time() * 1000)}
        self._outbox.close(Entry("status", content))


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

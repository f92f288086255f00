"""A run that is recorded with MLflow while it lasts."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mlflow
from mlflow.data.code_dataset_source import CodeDatasetSource
from mlflow.data.meta_dataset import MetaDataset
from mlflow.exceptions import MlflowException
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor
from mlflow.tracking.context.registry import resolve_tags

from melanoma_exp.spec import UserError
from melanoma_exp.tracking import servable
from melanoma_exp.tracking.base import Status
from melanoma_exp.tracking.connection import connect, request_timeout, store_errors
from melanoma_exp.tracking.journal import Entry, Journal
from melanoma_exp.tracking.mlflow_store import SAMPLED, SLOW, MlflowStore
from melanoma_exp.tracking.store import StoreError
from melanoma_exp.tracking.upload import Uploader

NOTE = "mlflow.note.content"
DESCRIPTION = """Classifying skin lesions with melanoma_exp. Research software, no medical device.

Each run has a description with its headline figures, what its alert is worth and whether it is
leaky (an evaluation image was in training), and its page, `report.html`. Useful columns:
`metrics.final/val/balanced_accuracy`, `metrics.final/val/melanoma_auc`, `tags.leaky`,
`metrics.seconds/fit`. `melanoma-exp compare RUN_ID RUN_ID` says which of two is better, and whether
that is shown. Choose by validation: whoever chooses by test figures has no test any more."""
INTERVAL = 5  # seconds between two readings of the system


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
        self._store = MlflowStore(client, uri, self.id)
        self._uploader = Uploader(self._store, journal, name)
        if resumed is not None:  # after the status with which the interrupted process ended
            with store_errors(uri):
                if client.get_run(self.id).info.status == "FINISHED":
                    journal.close()
                    raise UserError(f"run {self.id} has finished; nothing is left to resume")
                client.update_run(self.id, "RUNNING")
        self._saved: list[str] = []  # files, below the artifacts
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
        self._saved.append(f"{folder}/{path.name}".lstrip("/"))

    def log_model(self, code: Path, files: Mapping[str, Path], columns: Mapping[str, str]) -> None:
        """Saves a model that `mlflow models serve` serves: bytes of images to records."""
        with TemporaryDirectory() as parent:
            folder = Path(parent) / "model"
            servable.write(folder, code, files, columns)
            self._uploader.send(Entry("model", {}, folder))

    def missing_files(self, names: Collection[str]) -> list[str]:
        """Returns files that are gone; none while the store does not answer."""
        if self._uploader.is_behind:
            return []
        with suppress(StoreError):
            return self._store.missing_files({*names, *self._saved})
        return []

    def end(self, status: Status) -> None:
        """Closes the run."""
        self._sampler.finish()
        content = {"status": status, "time": int(time.time() * 1000)}
        self._uploader.close(Entry("status", content))


class Sampler(SystemMetricsMonitor):
    """MLflow's readings of processors, memory, disk and network, logged by the run itself.

    MLflow's own thread asks the server before each reading and ends at the first that fails.
    """

    def __init__(
        self, run_id: str, log: Callable[[Mapping[str, float], int], None], resumed: bool
    ) -> None:
        """Prepares; `start` begins sampling and `finish` ends it.

        Args:
            run_id: Of the run.
            log: Logs readings and their step.
            resumed: Whether to number them after the readings that the run has.
        """
        super().__init__(run_id, INTERVAL, resume_logging=resumed)
        self._log = log

    def monitor(self) -> None:
        """Samples until it is asked to end, or nothing can be logged."""
        with suppress(UserError):  # the run itself meets the same error and reports it
            while not self._shutdown_event.is_set():
                self.collect_metrics()
                if not self._shutdown_event.wait(self.sampling_interval):
                    self.publish_metrics(self.aggregate_metrics())

    def publish_metrics(self, metrics: Mapping[str, float]) -> None:
        """Logs one reading of each device."""
        self._log(
            {f"{SAMPLED}{name}": value for name, value in metrics.items()}, self._logging_step
        )
        self._logging_step += 1
        for monitor in self.monitors:
            monitor.clear_metrics()


def experiment_id(name: str, artifact_root: str | None) -> str:
    """Returns the id of an experiment, created if there is none of that name."""
    known = mlflow.get_experiment_by_name(name)
    if known is None:
        try:
            return mlflow.create_experiment(name, artifact_root, {NOTE: DESCRIPTION})
        except MlflowException:  # another process was first
            known = mlflow.get_experiment_by_name(name)
            if known is None:
                raise
    return known.experiment_id

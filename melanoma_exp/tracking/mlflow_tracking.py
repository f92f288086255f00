"""What the options that record runs with MLflow have in common."""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from melanoma_exp.tracking.base import Run, SweepEnd, Tracking
from melanoma_exp.tracking.journal import ROOT, Journal

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive


class MlflowTracking(Tracking):
    """A store that MLflow knows by a tracking URI, which `describe` returns."""

    experiment: str = Field(min_length=1)

    def prepare(self) -> None:
        """Makes the store ready for a new run.

        Raises:
            UserError: It cannot be written.
        """

    def artifact_root(self) -> str | None:
        """Returns the URI below which a new experiment saves artifacts; None: the server's own."""
        return None

    def journal_root(self) -> Path:
        """Returns where runs that are recorded now keep their journals, on this machine."""
        return ROOT

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run, or continues the one with the id `resumed`; see the base class."""
        from melanoma_exp.tracking.mlflow_run import MlflowRun

        self.prepare()
        uri, artifacts, journals = self.describe(), self.artifact_root(), self.journal_root()
        return MlflowRun(uri, self.experiment, artifacts, journals, name, resumed)

    def start_sweep(self, name: str, process: str, resumed: str | None) -> str:
        """Creates the parent run of a sweep's jobs, or reopens it, and returns its id.

        Args:
            name: Of the sweep.
            process: Of the launcher: the run is stale when that process is gone.
            resumed: The id of the parent run that an earlier start created.
        """
        from melanoma_exp.tracking.connection import connect, store_errors
        from melanoma_exp.tracking.mlflow_run import experiment_id

        self.prepare()
        client = connect(self.describe())
        with store_errors(self.describe()):
            if resumed is not None:
                client.update_run(resumed, status="RUNNING")
                client.set_tag(resumed, "process", process)
                return resumed
            experiment = experiment_id(self.experiment, self.artifact_root())
            tags = {"sweep_parent": name, "process": process}
            run = client.create_run(experiment, run_name=f"sweep {name}", tags=tags)
        return run.info.run_id

    def end_sweep(self, run_id: str, ended: SweepEnd) -> None:
        """Records the outcome of a sweep in its parent run and closes that."""
        from mlflow.entities import Metric, RunTag

        from melanoma_exp.tracking.connection import connect, store_errors

        self.prepare()
        client, now = connect(self.describe()), int(time.time() * 1000)
        metrics = [Metric(k, v, now, 0) for k, v in ended.metrics.items() if math.isfinite(v)]
        tags = [RunTag(key, value) for key, value in ended.tags.items()]
        with store_errors(self.describe()):
            for path in ended.files:
                client.log_artifact(run_id, str(path))
            client.log_batch(run_id, metrics=metrics, tags=tags)
            client.set_terminated(run_id, ended.status)

    def sync(self, run_id: str) -> None:
        """Uploads what is pending of a run, to the address of this option; see the base class."""
        from melanoma_exp.tracking.upload import sync

        journal = Journal(run_id, self.journal_root())
        if journal.pending():
            sync(journal, self.describe())

    def archive(self) -> "Archive":
        """Opens the store for reading; see the base class."""
        from melanoma_exp.tracking.archive import Archive

        return Archive(self.describe(), self.experiment, self.journal_root())

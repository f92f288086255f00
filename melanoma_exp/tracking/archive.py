"""Runs that were recorded, read back.

One run of a local store and its files are read without MLflow, whose import takes a second.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from melanoma_exp.spec import UserError
from melanoma_exp.system import migrations
from melanoma_exp.system.files import read_text
from melanoma_exp.tracking import place
from melanoma_exp.tracking.journal import Journal

if TYPE_CHECKING:
    from mlflow import MlflowClient

EVALUATION_OF = "evaluation_of"  # tag of a run that judged another one on another set


@dataclass(frozen=True)
class StoredRun:
    """One run as the store has it.

    Attributes:
        id: 32 hex digits.
        name: As tables show it.
        status: FINISHED, FAILED, KILLED or RUNNING.
        started: Milliseconds since 1970.
        params: The flat config under today's keys; values are text.
        metrics: The last value of each series.
        tags: All of them, MLflow's own included.
        artifacts: URI of the folder of its artifacts.
        deleted: Whether somebody deleted it; the store keeps it until it is cleaned.
    """

    id: str
    name: str
    status: str
    started: int
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    artifacts: str
    deleted: bool

    @property
    def evaluation_of(self) -> str:
        """The run that this one judged on another set, "" where it is no such evaluation."""
        return self.tags.get(EVALUATION_OF, "")

    def check_trained(self) -> None:
        """Refuses an evaluation, which has no model and no training to repeat.

        Raises:
            UserError: It is one.
        """
        if self.evaluation_of:
            raise UserError(
                f"run {self.id} only judges run {self.evaluation_of} on another set; name that run"
            )


class Archive:
    """The runs of one store."""

    def __init__(self, uri: str, experiment: str, journals: Path) -> None:
        """Opens the store.

        Args:
            uri: The tracking URI.
            experiment: The experiment that is searched unless another is named.
            journals: Where this machine keeps what is not uploaded yet.

        Raises:
            UserError: There is no such store, or no server answers.
        """
        path = Path(uri.removeprefix("sqlite:///"))
        if uri.startswith("sqlite:///") and not path.exists():
            raise UserError(
                f"tracking: there is no store at {path}; run something first, or name another "
                "with tracking.folder=DIR"
            )
        self._store = place.store_of(uri)
        if self._store is not None:
            place.settle_if_possible(self._store)
        self._uri, self._experiment, self._journals = uri, experiment, journals
        if self._store is None:
            self._client  # noqa: B018  # a server that does not answer is reported here

    @cached_property
    def _client(self) -> "MlflowClient":
        from melanoma_exp.tracking.connection import connect

        return connect(self._uri)

    def run(self, run_id: str) -> StoredRun:
        """Returns one run.

        Raises:
            UserError: There is no such run.
        """
        if self._store is not None:
            with suppress(sqlite3.Error):  # MLflow then says what is wrong
                if (row := place.read_run(self._store, run_id)) is None:
                    raise UserError(place.no_run(self._uri, run_id))
                return _from_row(run_id, row)
        from mlflow.exceptions import MlflowException
        from sqlalchemy.exc import SQLAlchemyError

        from melanoma_exp.tracking.connection import describe_error

        try:
            return _from_row(run_id, place.Row.of(self._client.get_run(run_id)))
        except (MlflowException, SQLAlchemyError) as error:
            raise UserError(f"{self._uri} has no run {run_id}: {describe_error(error)}") from error

    def search(self, filter_string: str, experiment: str | None = None) -> list[StoredRun]:
        """Returns all runs that match, oldest first.

        Args:
            filter_string: In MLflow's language, e.g. `tags.sweep = "2026-01-01/10-00-00"`.
            experiment: Another experiment than the archive's.

        Raises:
            UserError: There is no such experiment, or the filter is invalid.
        """
        from melanoma_exp.tracking.connection import store_errors

        number = self.experiment_id(experiment)
        with store_errors(self._uri):
            runs: list[Any] = []
            token = None
            while True:
                page = self._client.search_runs(
                    [number], filter_string, order_by=["start_time"], page_token=token
                )
                runs += page
                token = page.token
                if not token:
                    return [_from_row(run.info.run_id, place.Row.of(run)) for run in runs]

    def experiment_id(self, experiment: str | None = None) -> str:
        """Returns the id that the store gave an experiment.

        Args:
            experiment: Another experiment than the archive's.

        Raises:
            UserError: There is no such experiment.
        """
        from melanoma_exp.tracking.connection import store_errors

        name = experiment or self._experiment
        with store_errors(self._uri):
            if (found := self._client.get_experiment_by_name(name)) is None:
                known = ", ".join(self.experiments())
                raise UserError(f"{self._uri} has no experiment {name} (it has {known})")
        return str(found.experiment_id)

    def experiments(self) -> list[str]:
        """Returns the names of all experiments, newest first."""
        from melanoma_exp.tracking.connection import store_errors

        with store_errors(self._uri):
            return [known.name for known in self._client.search_experiments()]

    def series(self, run_id: str, key: str) -> list[tuple[int, float]]:
        """Returns the (step, value) pairs of a metric by step; empty where it was not logged."""
        from melanoma_exp.tracking.connection import store_errors

        with store_errors(self._uri):
            points = self._client.get_metric_history(run_id, key)
        return sorted((point.step, point.value) for point in points)

    def mark_killed(self, run_id: str) -> None:
        """Ends a run whose process is gone, unless it has ended since."""
        from melanoma_exp.tracking.connection import store_errors

        with store_errors(self._uri):
            if self._client.get_run(run_id).info.status == "RUNNING":
                self._client.set_terminated(run_id, "KILLED")

    def file(self, run: StoredRun | str, path: str, folder: Path | None = None) -> Path:
        """Returns a local copy of an artifact, a file or a folder.

        Args:
            run: The run, or its id.
            path: Below the run's artifacts.
            folder: For the copy if the store is not local; a temporary one by default.

        Raises:
            UserError: There is no such run or artifact.
        """
        known = self.run(run) if isinstance(run, str) else run
        for folder_here in self._places(known):
            if (folder_here / path).exists():
                return folder_here / path
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException

        from melanoma_exp.tracking.connection import describe_error

        try:
            target = str(folder) if folder else None
            uri = f"{known.artifacts}/{path}"
            return Path(download_artifacts(artifact_uri=uri, dst_path=target))
        except (MlflowException, OSError) as error:
            reason = describe_error(error)
            journal = Journal(known.id, self._journals)
            if journal.pending():
                reason += f"; some of the run is not uploaded yet: {journal.sync_command()}"
            raise UserError(f"run {known.id} has no artifact {path}: {reason}") from error

    def _places(self, run: StoredRun) -> Iterator[Path]:
        """Yields the folders on this machine that a run's artifacts may be in."""
        if self._store is not None:
            yield self._store / place.ARTIFACTS / run.id / place.ARTIFACTS
        if (recorded := place.path_of(run.artifacts)) is not None:
            yield recorded

    def text(self, run: StoredRun | str, path: str) -> str:
        """Returns the text of an artifact; errors as in `file`."""
        with TemporaryDirectory() as folder:
            return read_text(self.file(run, path, Path(folder)))


def _from_row(run_id: str, row: place.Row) -> StoredRun:
    return StoredRun(
        run_id,
        row.name or run_id[:8],
        row.status,
        row.start_time,
        migrations.upgrade_params(row.params),
        row.metrics,
        row.tags,
        row.artifact_uri,
        row.lifecycle_stage != "active",
    )

"""A run in an MLflow store, written entry by entry; repeating one makes no duplicates."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import mlflow
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    Param,
    RunTag,
)
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from melanoma_exp.spec import UserError
from melanoma_exp.tracking import place
from melanoma_exp.tracking.connection import check, is_server, request_timeout, store_errors
from melanoma_exp.tracking.journal import BATCH, Entry

QUICK, SLOW = 10, 120  # seconds for an answer; the latter where files are sent
PARAMS = 100  # parameters that a store takes in one request
# Sampled readings have times of their own: the store itself drops a point that is equal in all.
SAMPLED = "system/"


class MlflowStore:
    """One run in an MLflow store."""

    def __init__(self, client: mlflow.MlflowClient, uri: str, run_id: str) -> None:
        """Prepares; no request is made yet."""
        self.uri = uri
        self._client, self._run_id = client, run_id
        self._keys: set[str] | None = None  # of metrics that the store had when it was asked
        self._steps: dict[str, set[int]] = {}
        self._artifacts: Any = None

    def check(self) -> None:
        """Asks the store whether it answers.

        Raises:
            UserError: It does not, or it refuses.
        """
        if is_server(self.uri):
            check(self._client, self.uri)

    def write(self, entry: Entry) -> None:
        """Writes one entry; one that is written twice is there once.

        Args:
            entry: At most 1,000 metrics, if it is these.

        Raises:
            StoreError: The store did not answer; the entry may be written again.
            UserError: It refuses.
        """
        with store_errors(self.uri), request_timeout(SLOW if entry.path else QUICK):
            try:
                getattr(self, f"_{entry.kind}")(entry)
            except Exception:
                self._keys, self._steps = None, {}  # how much of the request was done is unknown
                raise

    def missing_files(self, names: Collection[str]) -> list[str]:
        """Returns which of the named artifacts the run does not have, and its model if it is gone.

        Raises:
            StoreError: The store does not answer.
            UserError: It has no such run any more.
        """
        local = place.store_of(self.uri)
        if local is not None and not place.has_run(local, self._run_id):
            raise UserError(
                f"tracking: {local / place.DATABASE} was deleted or replaced while run "
                f"{self._run_id} was at work, and its record with it"
            )
        with store_errors(self.uri), request_timeout(QUICK):
            run = self._client.get_run(self._run_id)
            here = place.path_of(run.info.artifact_uri) if local is not None else None
            if here is not None:
                models = self._models(run.info.experiment_id)
                gone = ["model"] if models and not any(map(_is_there, models)) else []
                return [*sorted(name for name in names if not (here / name).exists()), *gone]
            folders = {name.rpartition("/")[0] for name in names}
            found = {
                file.path
                for folder in folders
                for file in self._client.list_artifacts(self._run_id, folder or None)
            }
            return sorted(set(names) - found)

    def _metrics(self, entry: Entry) -> None:
        points = [p for p in (Metric(*point) for point in entry.content) if self._is_unknown(p)]
        if points:
            self._client.log_batch(self._run_id, metrics=points)
        for point in points:
            if point.key in self._steps:
                self._steps[point.key].add(point.step)

    def _is_unknown(self, point: Metric) -> bool:
        if point.key.startswith(SAMPLED):
            return True
        if self._keys is None:
            self._keys = set(self._client.get_run(self._run_id).data.metrics)
        if point.key not in self._steps:
            has = point.key in self._keys
            history = self._client.get_metric_history(self._run_id, point.key) if has else ()
            self._steps[point.key] = {known.step for known in history}
        return point.step not in self._steps[point.key]

    def _params(self, entry: Entry) -> None:
        entries = [Param(key, value) for key, value in entry.content.items()]
        for start in range(0, len(entries), PARAMS):
            self._client.log_batch(self._run_id, params=entries[start : start + PARAMS])

    def _tags(self, entry: Entry) -> None:
        tags = [RunTag(key, value) for key, value in entry.content.items()]
        self._client.log_batch(self._run_id, tags=tags)

    def _dataset(self, entry: Entry) -> None:
        tags = [InputTag("mlflow.data.context", "training")]
        given = DatasetInput(Dataset(**entry.content), tags)
        try:
            self._client.log_inputs(self._run_id, datasets=[given])
        except MlflowException as error:
            if error.error_code != "BAD_REQUEST":
                raise
            # MLflow checks whether a dataset is known and then adds it: a run that began at the
            # same moment may have been first. Now it is known.
            self._client.log_inputs(self._run_id, datasets=[given])

    def _file(self, entry: Entry) -> None:
        if self._artifacts is None:
            # MLflow's client keeps these by run id: a copy of the store has runs of the same ids.
            place_of_run = self._client.get_run(self._run_id).info.artifact_uri
            self._artifacts = get_artifact_repository(place_of_run, tracking_uri=self.uri)
        self._artifacts.log_artifact(str(entry.path), entry.content["folder"] or None)

    def _model(self, entry: Entry) -> None:
        """Logs a model, or completes the one that an interrupted upload began."""
        assert entry.path is not None
        if (store := place.store_of(self.uri)) is not None:
            place.settle_if_possible(store)  # another container may have it at another path
        run = self._client.get_run(self._run_id)
        model = self._begun_model(run.info.experiment_id)
        if model is not None and model.status == LoggedModelStatus.READY and _is_there(model):
            return
        if model is None:
            model = self._client.create_logged_model(
                run.info.experiment_id, "model", self._run_id, params=run.data.params
            )
        elif missing := {k: v for k, v in run.data.params.items() if k not in model.params}:
            self._client.log_model_params(model.model_id, missing)
        outputs: Iterable[Any] = run.outputs.model_outputs if run.outputs else ()
        if model.model_id not in {output.model_id for output in outputs}:
            self._client.log_outputs(self._run_id, [LoggedModelOutput(model.model_id, step=0)])
        self._client.log_batch(self._run_id, metrics=self._final_metrics(run, model.model_id))
        self._name_model(entry.path, model)
        files = get_artifact_repository(model.artifact_location, tracking_uri=self.uri)
        files.log_artifacts(str(entry.path))
        self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def _begun_model(self, experiment_id: str) -> Any:
        found = self._models(experiment_id)
        return min(found, key=lambda model: model.status != LoggedModelStatus.READY, default=None)

    def _models(self, experiment_id: str) -> Sequence[Any]:
        return self._client.search_logged_models(
            [experiment_id], f"source_run_id = '{self._run_id}'"
        )

    def _final_metrics(self, run: Any, model_id: str) -> list[Metric]:
        """Returns the run's metrics that are no series, for MLflow's own table of models.

        Equal in all to the run's points, they are not counted twice.
        """
        return [
            Metric(m.key, m.value, m.timestamp, m.step, model_id=model_id, run_id=self._run_id)
            for m in run.data.to_proto().metrics
            if m.step == 0 and not m.key.startswith(SAMPLED)
        ][:BATCH]

    def _name_model(self, folder: Path, model: Any) -> None:
        """Writes into the model's own description its run, its id and where it will be stored."""
        path = folder / "MLmodel"
        described = Model.load(str(path))
        described.run_id, described.model_id = self._run_id, model.model_id
        described.model_uuid, described.artifact_path = model.model_id, model.artifact_location
        described.save(str(path))

    def _status(self, entry: Entry) -> None:
        status = entry.content["status"]
        if status != "FINISHED" and self._client.get_run(self._run_id).info.status == "FINISHED":
            return  # an entry that waited in a spool while another process finished the run
        self._client.set_terminated(self._run_id, status, entry.content["time"])


def _is_there(model: Any) -> bool:
    """Whether the files of a model are there, as far as this machine can see."""
    path = place.path_of(model.artifact_location)
    return path is None or (path / "MLmodel").exists()

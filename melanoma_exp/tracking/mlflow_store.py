"""A run in an MLflow store, written entry by entry; repeating one makes no duplicates."""

from collections.abc import Iterable
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
        self._client.log_artifact(self._run_id, str(entry.path), entry.content["folder"] or None)

    def _model(self, entry: Entry) -> None:
        """Logs a model, or completes the one that an interrupted upload began."""
        assert entry.path is not None
        run = self._client.get_run(self._run_id)
        model = self._begun_model(run.info.experiment_id)
        if model is not None and model.status == LoggedModelStatus.READY:
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
        self._client.log_model_artifacts(model.model_id, str(entry.path))
        self._client.finalize_logged_model(model.model_id, LoggedModelStatus.READY)

    def _begun_model(self, experiment_id: str) -> Any:
        found = self._client.search_logged_models(
            [experiment_id], f"source_run_id = '{self._run_id}'"
        )
        return min(found, key=lambda model: model.status != LoggedModelStatus.READY, default=None)

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
        self._client.set_terminated(self._run_id, entry.content["status"], entry.content["time"])

"""The MLflow run that is the parent of a sweep's jobs."""

import math
import time

from mlflow.entities import Metric, RunTag

from melanoma_exp.tracking.base import SweepEnd
from melanoma_exp.tracking.connection import connect, store_errors
from melanoma_exp.tracking.mlflow_run import experiment_id


def start(
    uri: str, experiment: tuple[str, str | None], name: str, process: str, resumed: str | None
) -> str:
    """Creates the parent run, or reopens it, and returns its id.

    Args:
        uri: The tracking URI.
        experiment: Its name, and where a new one saves artifacts; None leaves it to the server.
        name: Of the sweep.
        process: Of the launcher: the run is stale when that process is gone.
        resumed: The id of the parent that an earlier start made.
    """
    client = connect(uri)
    with store_errors(uri):
        if resumed is not None:
            client.update_run(resumed, status="RUNNING")
            client.set_tag(resumed, "process", process)
            return resumed
        tags = {"sweep_parent": name, "process": process}
        run = client.create_run(experiment_id(*experiment), run_name=f"sweep {name}", tags=tags)
    return run.info.run_id


def end(uri: str, run_id: str, ended: SweepEnd) -> None:
    """Records the outcome of a sweep and closes its parent run."""
    client = connect(uri)
    with store_errors(uri):
        for path in ended.files:
            client.log_artifact(run_id, str(path))
        now = int(time.time() * 1000)
        metrics = [Metric(k, v, now, 0) for k, v in ended.metrics.items() if math.isfinite(v)]
        tags = [RunTag(key, value) for key, value in ended.tags.items()]
        client.log_batch(run_id, metrics=metrics, tags=tags)
        client.set_terminated(run_id, ended.status)

"""Jobs of one sweep lie below one parent run, whoever starts them and on whatever machine."""

import fcntl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from melanoma_exp.tracking.spec import Local, Off, Server

PARENT, LOCK = "parent_run.txt", "parent_run.lock"


@contextmanager
def below_parent(
    tracking: Local | Server | Off, job_folder: Path, tags: Mapping[str, str]
) -> Iterator[dict[str, str]]:
    """Gives the tags of a run, the parent's id among them where the run is a job of a sweep.

    The first job makes the parent, each job that ends moves the parent's end; one that fails leaves
    it FAILED.

    Args:
        tracking: Where runs are recorded.
        job_folder: Of this job, directly below the sweep's.
        tags: Of the run; `sweep` names the sweep.
    """
    if "sweep" not in tags or isinstance(tracking, Off):
        yield dict(tags)
        return
    folder = job_folder.parent
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # jobs may start at once
        path = folder / PARENT
        if not path.exists():
            path.write_text(tracking.start_sweep(tags["sweep"]))
        parent = path.read_text()
    try:
        yield {**tags, "mlflow.parentRunId": parent}
    except BaseException:
        tracking.end_sweep(parent, failed=True)
        raise
    tracking.end_sweep(parent, failed=False)

"""Who may write a run: one process, from its first look at what is there to its end.

Two locks. That of a job's folder keeps the same command from running twice in it; that of a run
lies beside its checkpoints and keeps `resume` from going on with what another process trains. A run
holds both, the folder's first. Workers that are not the chief write nothing and hold none.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from melanoma_exp.config import Experiment
from melanoma_exp.system.writer import check_unwritten, only_writer
from melanoma_exp.tracking import AnyTracking

LOCK = "run.lock"


@contextmanager
def of_job(experiment: Experiment, folder: Path) -> Iterator[None]:
    """Makes this process the one that runs the job of a folder.

    Raises:
        UserError: Another process runs it.
        OSError: The folder cannot be written.
    """
    if experiment.dry_run or not experiment.distribution.is_chief():
        yield
        return
    with of_folder(folder):
        yield


@contextmanager
def of_folder(folder: Path) -> Iterator[None]:
    """The same for a folder whose experiment is not known yet."""
    with only_writer(folder / LOCK, _job(folder)):
        yield


@contextmanager
def of_run(tracking: AnyTracking, folder: Path, run_id: str) -> Iterator[None]:
    """Makes this process the one that writes a run.

    Args:
        tracking: Where it is recorded.
        folder: The folder it was started in; any, where the store keeps its checkpoints.
        run_id: Its id.

    Raises:
        UserError: Another process writes it.
        OSError: The folder of its checkpoints cannot be written.
    """
    with only_writer(tracking.state_folder(folder) / f".{run_id}.lock", f"run {run_id}"):
        yield


def check_job(folder: Path) -> None:
    """Refuses a folder whose job another process runs; errors as of `of_job`."""
    check_unwritten(folder / LOCK, _job(folder))


def _job(folder: Path) -> str:
    return f"{folder}: the run in this folder"

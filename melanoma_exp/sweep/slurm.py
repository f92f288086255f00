"""Jobs on a Slurm cluster, submitted as one array through submitit."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError
from melanoma_exp.sweep.folder import Job, State, Status
from melanoma_exp.sweep.launchers import Slurm
from melanoma_exp.sweep.progress import Progress
from melanoma_exp.sweep.queue import Queue
from melanoma_exp.training.signals import Signals

TICK = 2.0  # seconds between two checks of the jobs' folders
FOLDER = ".submitit"
SETTLE = 20.0  # seconds that a shared file system may take to show what a job wrote last


class Submitted:
    """What Slurm runs: one job of a sweep; submitit continues it after a time limit."""

    def __call__(self, folder: str, number: int) -> int:
        """Runs the job and returns its exit code."""
        from melanoma_exp.sweep import job

        return job.run(Path(folder), number)

    def checkpoint(self, folder: str, number: int) -> Any:
        """Returns what is submitted again: the same job, which resumes from its checkpoint."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, folder, number)


def run(folder: Path, queue: Queue, options: Slurm, progress: Progress, signals: Signals) -> None:
    """Submits the jobs of the sweep in a folder and waits for them.

    A signal (`signals` is deferring them) cancels the jobs: Slurm sends them SIGTERM, they write a
    checkpoint and end.
    """
    executor = _executor(folder, options)
    started: set[int] = set()
    left: list[tuple[Job, Any]] = []
    cancelled = False
    while True:
        if signals.received is None and len(left) < options.at_once:
            if jobs := queue.take(options.at_once - len(left)):
                left += zip(jobs, _submit(executor, folder, jobs), strict=True)
        if not left:
            return
        if signals.received is not None and not cancelled:
            cancelled = True
            for _, handle in left:
                handle.cancel(check=False)
        for job, handle in list(left):
            is_over = handle.done(force_check=cancelled)
            if job.number not in started and (is_over or job.status().state != "waiting"):
                started.add(job.number)
                progress.started(job)
            if is_over:
                left.remove((job, handle))
                _note_end(job, handle)
                queue.ended(job)
                progress.ended(job)
        progress.tick()
        time.sleep(TICK)


def _executor(folder: Path, options: Slurm) -> Any:
    import submitit

    # Without accounting it warns at every check; the state that the job records counts.
    logging.getLogger("submitit").setLevel(logging.ERROR)
    is_slurm = options.cluster == "slurm"
    more: dict[str, Any] = {"slurm_max_num_timeout": options.requeued} if is_slurm else {}
    executor = submitit.AutoExecutor(folder / FOLDER, cluster=options.cluster, **more)
    executor.update_parameters(
        name="melanoma-exp",
        timeout_min=max(1, round(options.timeout_minutes)),
        cpus_per_task=options.threads,
        gpus_per_node=options.gpus,
        mem_gb=options.memory_gb,
    )
    if is_slurm:
        executor.update_parameters(
            slurm_array_parallelism=options.at_once,
            slurm_partition=options.partition,
            slurm_account=options.account,
            slurm_setup=list(options.setup),
            slurm_additional_parameters=options.extra,
        )
    return executor


def _submit(executor: Any, folder: Path, jobs: Sequence[Job]) -> Sequence[Any]:
    """Submits jobs as one array and returns their handles."""
    from submitit.core.utils import FailedJobError

    for job in jobs:
        job.note(Status("waiting"))
    numbers = [job.number for job in jobs]
    try:
        return executor.map_array(Submitted(), [str(folder.absolute())] * len(numbers), numbers)
    except FailedJobError as error:
        why = (str(error).splitlines() or ["without a message"])[-1]
        raise UserError(f"hydra/launcher=slurm: Slurm rejected the jobs: {why}") from error


def _note_end(job: Job, handle: Any) -> None:
    """Records the end of a job that could not do so itself."""
    deadline = time.monotonic() + SETTLE
    while job.status().state in ("running", "waiting") and time.monotonic() < deadline:
        if handle.state in ("TIMEOUT", "CANCELLED", "FAILED", "OUT_OF_MEMORY", "INTERRUPTED"):
            break
        time.sleep(1)
    status = job.status()
    if status.state in ("running", "waiting"):
        state: State = "timed out" if handle.state == "TIMEOUT" else "killed"
        job.note(replace(status, state=state, ended=time.time()))
        with (job.folder / "job.log").open("a") as log:
            log.write(f"ended by the cluster: {handle.state}\n")

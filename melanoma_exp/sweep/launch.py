"""A sweep from top to bottom: parent run, jobs, failures, results."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

from rich.markup import escape

from melanoma_exp.report import console
from melanoma_exp.run import resume
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import local, progress
from melanoma_exp.sweep.folder import Job, Sweep, locked, open_sweep
from melanoma_exp.sweep.launchers import Local, Slurm
from melanoma_exp.sweep.plan import same_but_for_name
from melanoma_exp.sweep.queue import Queue
from melanoma_exp.system import provenance
from melanoma_exp.system.watchdog import exit_with_parent
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.signals import Interrupted, Signals


class JobsFailedError(UserError):
    """Jobs of a sweep failed; the message says how many, their errors are on the screen already."""

    code = 1


class SweepInterrupted(Interrupted):
    """A signal stopped a sweep; `sweep` is its folder."""

    def __init__(self, signum: int, sweep: Path) -> None:
        super().__init__(signum)
        self.sweep = sweep


def run(sweep: Sweep, queue: Queue) -> None:
    """Runs jobs of a sweep and records the results.

    Args:
        sweep: With all jobs it has so far.
        queue: Gives the jobs to run.

    Raises:
        UserError: The sweep or a job of it is being run already, or tracking fails.
        JobsFailedError: Some jobs did not finish; the others did.
        SweepInterrupted: A signal asked to stop; the jobs wrote checkpoints.
    """
    screen, signals = console.console(), Signals()
    with locked(sweep.folder), signals.handled():
        _check_idle(missing(sweep.jobs))
        number = len(sweep.jobs) + queue.to_come
        screen.print(f"sweep of {number} jobs: {sweep.folder}", soft_wrap=True)
        for line in same_but_for_name(sweep.jobs):
            screen.print(f"[yellow]warning[/] {escape(line)}", soft_wrap=True)
        if done := len(sweep.jobs) - len(missing(sweep.jobs)):
            screen.print(f"{done} have finished already", soft_wrap=True)
        context = _context(sweep.launcher if done < number else None)
        _in_child(context, _begin, sweep.folder, provenance.process())
        stopped = None
        try:
            with signals.deferred():
                _run_jobs(sweep, queue, screen, signals)
        except Interrupted as error:
            stopped = error.signum
        except BaseException:
            _in_child(context, _end, sweep.folder, False)
            raise
        lines = _in_child(context, _end, sweep.folder, stopped is not None)
    jobs = open_sweep(sweep.folder).jobs
    failed = missing(jobs)
    if ended := [job for job in failed if job.status().state != "waiting"]:
        progress.print_failures(screen, ended)
    for line in lines:
        screen.print(line, soft_wrap=True)
    if stopped is not None:
        raise SweepInterrupted(stopped, sweep.folder)
    if failed:
        raise JobsFailedError(
            f"{len(failed)} of {len(jobs)} jobs did not finish, see above; when that is fixed: "
            f"melanoma-exp resume-sweep {sweep.folder}"
        )


def missing(jobs: Sequence[Job]) -> list[Job]:
    """Returns those that have not finished."""
    return [job for job in jobs if not job.status().is_done]


def has_started(job: Job) -> bool:
    """Whether a job can be resumed from a checkpoint."""
    known = resume.find_started_run(job.folder)
    if known is None or known.scores:
        return False
    state = job.experiment().tracking.state_folder(job.folder)
    return CheckpointStore(state / known.run_id).newest() is not None


def _run_jobs(sweep: Sweep, queue: Queue, screen: Any, signals: Signals) -> None:
    options = sweep.launcher
    slots = local.count(options) if isinstance(options, Local) else options.at_once
    with progress.Progress(screen, sweep, queue, slots) as shown:
        if isinstance(options, Local):
            local.run(sweep.folder, queue, options, shown, signals)
        else:
            from melanoma_exp.sweep import slurm

            slurm.run(sweep.folder, queue, options, shown, signals)


def _check_idle(jobs: Sequence[Job]) -> None:
    """Refuses to start while a process of an earlier start still runs one of the jobs."""
    lines = [
        f"job {job.number} is still running, as process {status.process.split(':')[1]}; wait for "
        "it or stop it"
        for job in jobs
        if (status := job.status()).state == "running" and provenance.is_alive(status.process)
    ]
    if lines:
        raise UserError(*lines)


def _context(options: Local | Slurm | None) -> BaseContext:
    """Returns how processes beside the launcher start: as jobs do, where those are forked."""
    if isinstance(options, Local):
        return local.fork_server(options)
    return multiprocessing.get_context("spawn")


def _in_child(context: BaseContext, work: Callable[..., Any], *arguments: Any) -> Any:
    """Runs a function in a process of its own: the launcher itself never imports MLflow."""
    with ProcessPoolExecutor(1, context, exit_with_parent, (0.0,)) as pool:
        return pool.submit(work, *arguments).result()


def _begin(folder: Path, process: str) -> None:
    from melanoma_exp.sweep import parent_run

    parent_run.begin(folder, process)


def _end(folder: Path, interrupted: bool) -> list[str]:
    from melanoma_exp.sweep import parent_run

    return parent_run.end(folder, interrupted)

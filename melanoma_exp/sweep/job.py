"""The process of one job: runs it, records its state, logs all output."""

import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from melanoma_exp.evaluation import objectives
from melanoma_exp.report import streams
from melanoma_exp.run import one_writer, resume
from melanoma_exp.sweep.folder import LOG, Job, Status, Sweep, open_sweep
from melanoma_exp.sweep.search import config as search_config
from melanoma_exp.system import exit_status, provenance
from melanoma_exp.system.watchdog import exit_with_parent
from melanoma_exp.training.signals import PrunedError


def run(folder: Path, number: int) -> int:
    """Runs or resumes a job in this process; all output goes to its log.

    Args:
        folder: Of the sweep.
        number: Of the job.

    Returns:
        The exit code: 0; 1 with a traceback in the log; 2 after a mistake of the user; 128 plus its
        number after a signal.
    """
    sweep = open_sweep(folder)
    (job,) = (job for job in sweep.jobs if job.number == number)
    os.chdir(sweep.directory)
    with _logged_to(job.folder / LOG), ExitStack() as held:
        code = exit_status.exit_code(
            lambda: held.enter_context(one_writer.of_job(job.experiment(), job.folder))
        )
        # The status of a job that another process runs is that one's to write.
        return code or _run_and_note(job, sweep)


def _run_and_note(job: Job, sweep: Sweep) -> int:
    status = Status("running", provenance.process(), time.time())
    job.note(status)
    pruned: list[PrunedError] = []
    code = exit_status.exit_code(lambda: pruned.extend(_run(job, sweep)))
    earlier = resume.find_started_run(job.folder)
    status = replace(status, ended=time.time(), run_id=earlier.run_id if earlier else "")
    if pruned:
        status = replace(status, state="pruned")
    elif code == 0:
        status = replace(status, state="finished")
        if earlier and earlier.scores:  # not after a dry run
            score = job.experiment().objective.score(earlier.scores)
            status = replace(status, score=score, leaky=earlier.leaky)
    else:
        status = replace(status, state="stopped" if code > 128 else "failed")
    job.note(status)
    return code


def run_in_child(folder: Path, number: int, environment: Mapping[str, str], grace: float) -> None:
    """Runs a job in a process that was forked for it, at the head of a session of its own.

    A Ctrl-C in the terminal reaches only the launcher, which decides about the jobs; and the job's
    own worker processes can be ended with it. When the launcher is killed the job gets SIGTERM, and
    `grace` seconds later SIGKILL.
    """
    os.setsid()
    exit_with_parent(grace)
    os.environ.update(environment)
    if threads := environment.get("OMP_NUM_THREADS"):
        import cv2

        cv2.setNumThreads(int(threads))
    sys.exit(run(folder, number))


def _run(job: Job, sweep: Sweep) -> list[PrunedError]:
    """Runs the job; returns why it was pruned, if it was."""
    from melanoma_exp.run import runner

    experiment = job.experiment()
    parent = sweep.parent(experiment.tracking)
    # The number of threads changes the order of sums and so their last bits.
    threads = {"threads": os.environ.get("TF_NUM_INTRAOP_THREADS", "all")}
    tags = {**job.tags, **threads, **({"mlflow.parentRunId": parent} if parent else {})}
    pruner = None
    if search_config.exists(sweep.folder):
        from melanoma_exp.sweep.search.pruner import open_pruner  # imports Optuna, an extra

        known = objectives.directions(experiment.evaluation, experiment.dataset.alerts)
        pruner = open_pruner(sweep.folder, sweep.name, job.number, known)
    try:
        runner.start(experiment, job.folder, tags, pruner)
    except PrunedError as pruned:
        print(f"pruned: {pruned}")
        return [pruned]
    return []


@contextmanager
def _logged_to(path: Path) -> Iterator[None]:
    """Sends standard output and error to a file, those of C libraries and child processes too."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    before = sys.stdout, sys.stderr
    saved = [os.dup(1), os.dup(2)]
    _flush()
    for descriptor in (1, 2):
        os.dup2(file, descriptor)
    sys.stdout, sys.stderr = streams.text(1), streams.text(2)
    try:
        print(f"--- {time.strftime('%Y-%m-%d %H:%M:%S')} process {os.getpid()}")
        yield
    finally:
        _flush()
        for descriptor, old in zip((1, 2), saved, strict=True):
            os.dup2(old, descriptor)
        for old in (file, *saved):
            os.close(old)
        sys.stdout, sys.stderr = before


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()

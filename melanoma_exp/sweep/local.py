"""Jobs on this machine: a few at once, each forked from one process that has imported everything.

Importing TensorFlow and MLflow costs seconds of CPU a process. Python's fork server imports them
once (`preload`) and is forked for each job; TensorFlow is imported in it but never used.
"""

import multiprocessing
import os
import shutil
import signal
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from multiprocessing import connection, forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from melanoma_exp.sweep import job as job_process
from melanoma_exp.sweep.folder import Job, State, Status
from melanoma_exp.sweep.launchers import Local
from melanoma_exp.sweep.progress import Progress
from melanoma_exp.sweep.queue import Queue
from melanoma_exp.system import provenance
from melanoma_exp.training.signals import Signals

TICK = 0.5  # seconds between two checks
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


@dataclass
class _Running:
    job: Job
    process: ForkServerProcess
    slot: int
    deadline: float
    killed_at: float = float("inf")
    is_late: bool = False


def run(folder: Path, queue: Queue, options: Local, progress: Progress, signals: Signals) -> None:
    """Runs the jobs of the sweep in a folder; however one ends, the others go on.

    A signal (`signals` is deferring them) is passed on to the jobs as SIGTERM, and no further job
    is started; a second one ends everything at once.
    """
    slots = count(options)
    environments = [environment(options, slot) for slot in range(slots)]
    waiting, running = deque[Job](), list[_Running]()
    limit = (options.timeout_minutes or float("inf")) * 60
    context = fork_server(options)
    try:
        while True:
            free = sorted(set(range(slots)) - {r.slot for r in running})
            if not waiting and free and signals.received is None:
                waiting.extend(queue.take(len(free)))
            while waiting and free and signals.received is None:
                job, slot = waiting.popleft(), free.pop(0)
                arguments = (folder, job.number, environments[slot], options.grace_seconds)
                process = context.Process(target=job_process.run_in_child, args=arguments)
                process.start()
                running.append(_Running(job, process, slot, time.monotonic() + limit))
                progress.started(job)
            if not running:
                break
            connection.wait([r.process.sentinel for r in running], TICK)
            for one in [r for r in running if not r.process.is_alive()]:
                running.remove(one)
                _clean_up(one)
                queue.ended(one.job)
                progress.ended(one.job)
            _stop_late(running, options.grace_seconds, all_jobs=signals.received is not None)
            progress.tick()
    finally:
        for one in running:  # only after a second signal or an error of ours
            _kill(one)
            one.process.join()
            _clean_up(one)


def visible_gpus() -> Sequence[str]:
    """Returns the names of the GPUs that jobs may use, without asking TensorFlow."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [name for name in given.split(",") if name and name != "-1"]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    lines = [line for line in listed.stdout.splitlines() if line.startswith("GPU ")]
    return [str(k) for k in range(len(lines))]


@contextmanager
def _ignoring_the_terminal() -> Iterator[None]:
    """Lets a process started inside ignore Ctrl-C and hang-up, which are for its launcher."""
    before = {s: signal.signal(s, signal.SIG_IGN) for s in (signal.SIGINT, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def count(options: Local) -> int:
    """Returns how many jobs run at once: one, or one for each GPU, unless `slots` says."""
    return options.slots or max(1, len(visible_gpus()))


def fork_server(options: Local) -> ForkServerContext:
    """Returns the context whose processes are forks of one that has imported everything.

    That process has the number of threads set: libraries read it when they are imported.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["melanoma_exp.sweep.preload"])
    threads = _threads(options)
    before = {name: os.environ.get(name) for name in threads}
    os.environ.update(threads)
    try:
        with _ignoring_the_terminal():
            forkserver.ensure_running()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    return context


def _threads(options: Local) -> dict[str, str]:
    """Returns the variables that limit a job's threads; none where one job has the machine."""
    slots = count(options)
    if options.threads is None and slots == 1:
        return {}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = options.threads or max(1, (cores or 1) // slots)
    return dict.fromkeys(THREADS, str(threads))


def environment(options: Local, slot: int) -> dict[str, str]:
    """Returns the environment variables of a slot's jobs: threads, and a GPU of their own."""
    gpus = visible_gpus()
    device = {"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if gpus else {}
    return {**_threads(options), **device}


def _stop_late(running: Sequence[_Running], grace: float, all_jobs: bool) -> None:
    """Sends SIGTERM to jobs over their time limit, or to all; SIGKILL after the grace period."""
    now = time.monotonic()
    for one in running:
        if one.killed_at == float("inf") and (all_jobs or now > one.deadline):
            one.is_late = now > one.deadline
            one.killed_at = now + grace
            one.process.terminate()
        elif now > one.killed_at:
            _kill(one)


def _kill(one: _Running) -> None:
    """Kills a job and its worker processes, also where the job itself has ended."""
    assert one.process.pid is not None
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(one.process.pid, signal.SIGKILL)
    if one.process.is_alive():
        one.process.kill()


def _clean_up(one: _Running) -> None:
    """Records the end of a job that could not do so itself."""
    _kill(one)
    status, code = one.job.status(), one.process.exitcode
    if status.state == "running" and provenance.is_alive(status.process):
        return  # the job was refused, for another process runs it
    if status.state == "waiting":  # it died before it could record anything
        status = Status("running", started=time.time())
    state: State = status.state
    if one.is_late and not status.is_done:
        state = "timed out"
    elif state == "running":
        state = "killed" if code is None or code < 0 else "failed"
        with (one.job.folder / "job.log").open("a") as log:
            if code is not None and code < 0:
                why = " (out of memory?)" if code == -signal.SIGKILL else ""
                log.write(f"killed by {signal.Signals(-code).name}{why}\n")
    run_id = status.run_id or _run_id(one.job)
    one.job.note(replace(status, state=state, ended=status.ended or time.time(), run_id=run_id))


def _run_id(job: Job) -> str:
    from melanoma_exp.run import resume

    earlier = resume.find_started_run(job.folder)
    return earlier.run_id if earlier else ""

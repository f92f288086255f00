"""Starts workers on this machine, supervises them and restarts them where one is lost."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

from melanoma_exp.run import resume
from melanoma_exp.system.watchdog import LAUNCHED
from melanoma_exp.training.signals import requests

LEAVE = 75.0  # seconds in which the others must notice and end by themselves
TERM = 10.0  # seconds from SIGTERM to SIGKILL
MISTAKE = 2  # exit code of a mistake of the user: a restart would not help
STOPPED = [128 + s for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]  # exit codes
SHOWN = 5  # last lines of a failed worker's log


class Workers:
    """The processes of one attempt."""

    def __init__(self, commands: Sequence[Sequence[str]], logs: Sequence[Path | None]) -> None:
        """Starts them.

        Args:
            commands: Of each worker.
            logs: Where each writes; None is this terminal.
        """
        ports = free_ports(len(commands))
        addresses = [f"127.0.0.1:{port}" for port in ports]
        inherited, self._held = (
            os.pipe()
        )  # workers end when this process, which holds its other end, does
        threads = str(max(len(os.sched_getaffinity(0)) // len(commands), 1))
        self.processes: list[subprocess.Popen] = []
        with ExitStack() as opened:
            for k, (command, log) in enumerate(zip(commands, logs, strict=True)):
                task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": k}}
                out = opened.enter_context(log.open("a")) if log else None
                process = subprocess.Popen(
                    command,
                    env={
                        **os.environ,
                        "TF_CONFIG": json.dumps(task),
                        "TF_NUM_INTRAOP_THREADS": threads,
                        "OMP_NUM_THREADS": threads,
                        LAUNCHED: str(inherited),
                    },
                    pass_fds=[inherited],
                    stdout=out,
                    stderr=subprocess.STDOUT if out else None,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # this process alone gets Ctrl-C and forwards it
                )
                self.processes.append(process)
        os.close(inherited)

    def wait(self, signals: Sequence[int]) -> int | None:
        """Waits until all have ended; those that do not follow a failed one are ended.

        Args:
            signals: Those forwarded so far; the workers get time to stop.

        Returns:
            The number of the worker that failed first, None if none did.
        """
        first: int | None = None
        until = float("inf")
        while any(process.poll() is None for process in self.processes):
            failed = [k for k, process in enumerate(self.processes) if process.poll()]
            if (failed or signals) and until == float("inf"):
                until = time.monotonic() + LEAVE
            if failed and first is None:
                first = failed[0]
            if time.monotonic() > until:
                self.send(signal.SIGTERM)
                time.sleep(TERM)
                self.send(signal.SIGKILL)
            time.sleep(0.2)
        os.close(self._held)
        failed = [k for k, process in enumerate(self.processes) if process.returncode]
        return first if first is not None else next(iter(failed), None)

    def send(self, signum: int) -> None:
        """Sends a signal to all that are still there."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)


def launch(count: int, restarts: int, words: Sequence[str]) -> int:
    """Trains on `count` processes of this machine.

    Args:
        count: Of workers.
        restarts: How often to start again where a worker is lost.
        words: Of the command line.

    Returns:
        An exit code: 0, or that of the first worker that failed.
    """
    folder, commands = _commands(count, words)
    folder.mkdir(parents=True, exist_ok=True)
    logs = [None, *(folder / f"worker-{k}.log" for k in range(1, count))]
    for attempt in range(restarts + 1):
        workers = Workers(commands, logs)
        with _forwarding_signals(workers) as passed:
            failed = workers.wait(passed)
        if failed is None:
            return 0
        code = workers.processes[failed].returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        if passed:
            code = 128 + passed[0]
            break
        print(f"launch: worker {failed} {how}", file=sys.stderr)
        if (log := logs[failed]) is not None and (lines := _tail(log)):
            print(f"{log} ends with:", *lines, sep="\n  ", file=sys.stderr)
        if code in (MISTAKE, *STOPPED) or attempt == restarts:
            break
        print(f"launch: starting again, {attempt + 1} of {restarts}", file=sys.stderr)
    print(f"launch: the folder of this job is {folder}", file=sys.stderr)
    if code != MISTAKE:
        run_id = words[1] if words[:1] == ["resume"] else None
        program = f"melanoma-exp launch --workers {count}"
        storage = [word for word in words if word.startswith(("tracking", "cache.", "extend="))]
        hint = resume.resume_hint(folder, run_id, program=program, storage=storage)
        print(f"launch: {hint}", file=sys.stderr)
    return 128 - code if code < 0 else code


def free_ports(count: int) -> list[int]:
    """Returns ports of 127.0.0.1 that nobody listens on."""
    with ExitStack() as opened:
        sockets = [opened.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _commands(count: int, words: Sequence[str]) -> tuple[Path, list[list[str]]]:
    """Returns the folder of the job and what each worker is started as."""
    program = [sys.executable, "-m", "melanoma_exp"]
    if words[:1] == ["resume"]:
        folder = Path("mlruns") / "launch" / (words[1] if len(words) > 1 else "unknown")
        return folder, [[*program, *words]] * count
    key = "hydra.run.dir="
    given = [word.removeprefix(key) for word in words if word.startswith(key)]
    folder = Path(given[-1]) if given else resume.new_job_folder()
    own = [f"{key}{folder}", "distribution=multi_worker"]
    # One folder, so that all find the run of an earlier start; the chief alone writes there.
    silent = ["hydra.output_subdir=null", "hydra/job_logging=none", "hydra/hydra_logging=none"]
    return folder, [[*program, *words, *own, *(silent if k else [])] for k in range(count)]


@contextmanager
def _forwarding_signals(workers: Workers) -> Iterator[list[int]]:
    """Forwards requests to stop to the workers; yields those received so far."""
    passed: list[int] = []

    def handle(signum: int, frame: FrameType | None) -> None:
        passed.append(signum)
        workers.send(signum)

    before = {s: signal.signal(s, handle) for s in requests()}
    try:
        yield passed
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def _tail(log: Path) -> list[str]:
    return log.read_text(errors="replace").splitlines()[-SHOWN:]

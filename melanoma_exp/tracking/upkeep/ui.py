"""MLflow's pages of a store, served on this machine while somebody looks at them."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import IO, NoReturn

from melanoma_exp.spec import UserError
from melanoma_exp.system import watchdog

HOST, PORT = "127.0.0.1", 5000
STARTS_WITHIN = 120.0  # seconds
ENDS_WITHIN = 10.0  # seconds; what is left then is killed
# In a session of its own, so that nothing of it is left: it ends with the process that started it.
CODE = (
    "from melanoma_exp.system import watchdog\n"
    f"watchdog.exit_with_launcher({ENDS_WITHIN})\n"
    "from mlflow.cli import cli\n"
    "cli()"
)


def runs_page(server: str, experiment: str) -> str:
    """Returns the address of the runs table of an experiment, in its view for training.

    Args:
        server: Its address.
        experiment: Its id.
    """
    return f"{server}/#/experiments/{experiment}/runs?workflowType=machine_learning"


def choose_port(wanted: int | None) -> int:
    """Returns a free port: the wanted one, else MLflow's usual one, else any.

    Raises:
        UserError: The wanted one is taken.
    """
    for port in (PORT, 0) if wanted is None else (wanted,):
        try:
            with socket.create_server((HOST, port)) as free:
                return int(free.getsockname()[1])
        except OSError as error:
            reason = error.strerror
    raise UserError(f"ui: port {wanted} cannot be used ({reason}); name another with --port")


@contextmanager
def serving(uri: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """Serves a store; however the block ends, no process of the server is left.

    Args:
        uri: Of the store.
        port: To listen on, of this machine alone.

    Yields:
        The server's process, which answers.

    Raises:
        UserError: It does not start.
    """
    words = ["server", "--host", HOST, "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", uri]
    gone, held = os.pipe()  # the end that is held closes with this process
    variables = {**os.environ, watchdog.LAUNCHED: str(gone)}
    variables["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"  # five processes more
    with tempfile.TemporaryFile() as log, _ends_by_signal():
        process = subprocess.Popen(
            [sys.executable, "-c", CODE, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=variables,
            pass_fds=(gone,),
            start_new_session=True,
        )
        os.close(gone)
        try:
            _wait(process, port, log)
            yield process
        finally:
            _end(process)
            os.close(held)


def _wait(process: "subprocess.Popen[bytes]", port: int, log: IO[bytes]) -> None:
    deadline = time.monotonic() + STARTS_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError):
            urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=2).close()
            return
        time.sleep(0.1)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    raise UserError(f"ui: MLflow's server did not start: {said[-1] if said else 'it said nothing'}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    for signum in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signum)
        with suppress(subprocess.TimeoutExpired):
            process.wait(ENDS_WITHIN)
    # The leader has ended; its group may not have.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _ends_by_signal() -> Iterator[None]:
    """Lets a request to stop, or a closed terminal, end the block as Ctrl-C does."""

    def stop(signum: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + signum)

    before = {s: signal.signal(s, stop) for s in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

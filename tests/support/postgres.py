"""A real PostgreSQL for tests, on a port of this machine."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from mlflow_server import free_port


def binaries() -> Path | None:
    """Returns the folder of PostgreSQL's programs."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    return next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)


class Postgres:
    """A cluster in a folder of its own; it refuses to run as root, so it runs as `postgres`."""

    def __init__(self) -> None:
        found = binaries()
        if found is None:
            pytest.skip("needs PostgreSQL (Debian: postgresql)")
        pytest.importorskip("psycopg2", reason="needs the extra `server` (psycopg2-binary)")
        self._programs, self.port = found, free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="postgres"))
        self._user: dict[str, object] = {}
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self._address = f"mlflow@127.0.0.1:{self.port}/postgres"
        # Without the driver's name SQLAlchemy 2.1 asks for psycopg 3.
        self.uri = f"postgresql+psycopg2://{self._address}"
        self._process: subprocess.Popen | None = None
        self._run("initdb", "-D", "data", "-A", "trust", "-U", "mlflow", "--no-sync")

    def start(self) -> None:
        log = (self.folder / "log").open("ab")
        self._process = subprocess.Popen(
            [
                self._programs / "postgres",
                "-D",
                "data",
                "-p",
                str(self.port),
                "-h",
                "127.0.0.1",
                "-k",
                str(self.folder),
            ],
            cwd=self.folder,
            stdout=log,
            stderr=log,
            **self._user,
        )  # type: ignore[call-overload]
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            if self._answers():
                return
            time.sleep(0.2)
        raise TimeoutError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Ends it at once, without waiting for its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(60)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(f"postgresql://{self._address}", connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def _run(self, program: str, *words: str) -> None:
        subprocess.run(
            [self._programs / program, *words],
            cwd=self.folder,
            check=True,
            capture_output=True,
            **self._user,
        )  # type: ignore[call-overload]

"""A real MLflow server for tests, which can be killed and started again, and a line to it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class MlflowServer:
    """`mlflow server` on a port of this machine, its data below a folder."""

    def __init__(self, folder: Path, store: str = "", workers: int = 1) -> None:
        self.folder, self.port = folder, free_port()
        self.uri = f"http://127.0.0.1:{self.port}"
        self._command = [
            sys.executable,
            "-m",
            "mlflow",
            "server",
            "--host",
            "127.0.0.1",
            "--port",
            str(self.port),
            "--workers",
            str(workers),
            "--serve-artifacts",
            "--backend-store-uri",
            store or f"sqlite:///{folder}/server.db",
            "--artifacts-destination",
            str(folder / "kept"),
            # By default a worker that does not answer for 5 s, on a busy machine, is killed.
            "--uvicorn-opts",
            "--timeout-worker-healthcheck 60",
        ]
        self._process: subprocess.Popen | None = None

    def start(self) -> None:
        log = (self.folder / "server.log").open("ab")
        # Without the processes for MLflow's own jobs, which nothing here uses.
        variables = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        self._process = subprocess.Popen(
            self._command,
            stdout=log,
            stderr=log,
            cwd=self.folder,
            start_new_session=True,
            env=variables,
        )
        deadline = time.monotonic() + 240
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{self.uri}/health", timeout=1).close()
                return
            except OSError:
                assert self._process.poll() is None, (self.folder / "server.log").read_text()
                time.sleep(0.2)
        raise TimeoutError((self.folder / "server.log").read_text())

    def kill(self, signum: int = signal.SIGKILL) -> None:
        """Ends the server and its workers at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signum)
            self._process.wait(60)
            self._process = None


class Line:
    """A line to a server that can be cut, go silent, or lose what the server answers."""

    def __init__(self, port: int) -> None:
        self._target = port
        self.mode = "whole"  # or cut, drop (the next connection), silent, deaf (answers are lost)
        self.deaf_after = 0  # in mode deaf: so many answers still pass
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def set(self, mode: str, deaf_after: int = 0) -> None:
        """Changes the mode; connections that are open are closed."""
        self.mode, self.deaf_after = mode, deaf_after
        for each in self._open:
            _close(each)
        self._open = []

    def close(self) -> None:
        self.set("cut")
        self._listener.close()

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode in ("cut", "drop"):
                if self.mode == "drop":
                    self.mode = "whole"
                _close(client)  # last: whoever notices may set the mode at once
                continue
            self._open.append(client)
            if self.mode == "silent":
                continue
            server = socket.create_connection(("127.0.0.1", self._target))
            self._open.append(server)
            for source, target, answers in ((client, server, False), (server, client, True)):
                threading.Thread(
                    target=self._carry, args=(source, target, answers), daemon=True
                ).start()

    def _carry(self, source: Any, target: Any, answers: bool) -> None:
        try:
            while data := source.recv(65536):
                if answers and self.mode == "deaf":
                    self.deaf_after -= data.startswith(b"HTTP/")
                    if self.deaf_after < 0:
                        break
                target.sendall(data)
        except OSError:
            pass
        _close(source)
        _close(target)


def _close(each: socket.socket) -> None:
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    each.close()


def content(server: MlflowServer, run_id: str) -> dict[str, Any]:
    """Returns all that the server has of a run, but for times and ids."""
    import mlflow

    client = mlflow.MlflowClient(server.uri)
    run = client.get_run(run_id)
    models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    return {
        "status": run.info.status,
        "metrics": {
            key: sorted((p.step, p.value) for p in client.get_metric_history(run_id, key))
            for key in run.data.metrics
            if not key.startswith("system/")
        },
        "params": run.data.params,
        "tags": {k: v for k, v in run.data.tags.items() if not k.startswith("mlflow.")},
        "artifacts": [
            (f.path, f.file_size) for d in ("", "figures") for f in client.list_artifacts(run_id, d)
        ],
        "data": [(d.dataset.name, d.dataset.digest) for d in run.inputs.dataset_inputs],
        "models": [
            (m.name, str(m.status), m.params, {p.key: p.value for p in m.metrics}) for m in models
        ],
        "outputs": [o.model_id for o in run.outputs.model_outputs] == [m.model_id for m in models],
        "model": sorted(f.path for f in client.list_logged_model_artifacts(models[0].model_id)),
    }

"""A server that is absent or lets nobody in is reported in one line, before anything starts."""

import http.server
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.server import Server


def test_an_absent_server_is_reported_before_anything_starts(tmp_path: Path) -> None:
    command = [
        "tracking=server",
        "tracking.uri=http://127.0.0.1:9",
        f"cache.dir={tmp_path / 'cache'}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", "melanoma_exp", *command],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    message = "tracking.uri: no MLflow server answers at http://127.0.0.1:9: Connection refused\n"
    assert done.stderr == message and not done.stdout
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "asks for a login that it knows; set MLFLOW_TRACKING_USERNAME"), (403, "refuses: ")],
)
def test_a_server_that_lets_nobody_in_says_what_is_missing(
    tmp_path: Path, status: int, message: str
) -> None:
    class Guard(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        do_POST = do_GET  # noqa: N815

    with http.server.HTTPServer(("127.0.0.1", 0), Guard) as guard:
        threading.Thread(target=guard.serve_forever, daemon=True).start()
        server = Server(kind="server", uri=f"http://127.0.0.1:{guard.server_port}", experiment="e")
        with pytest.raises(UserError, match=rf"^tracking.uri: the server at http://\S+ {message}"):
            server.start("run", tmp_path, None)
        guard.shutdown()


def test_a_password_in_the_address_is_refused() -> None:
    with pytest.raises(ValueError, match="should hold no password"):
        Server(kind="server", uri="http://me:secret@127.0.0.1:5000", experiment="e")

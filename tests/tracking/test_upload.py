"""A run continues while its server is lost, and in the end the server has all of it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import Line, MlflowServer, content
from tracked_run import lost_for_good, started, steps

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.journal import pending_runs
from melanoma_exp.tracking.server import Server

FIRST_OF_EPOCHS = 5  # calls before it


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("server"))
    running.start()
    yield running
    running.kill()


@pytest.fixture
def line(server: MlflowServer) -> Iterator[Line]:
    drawn = Line(server.port)
    yield drawn
    drawn.close()


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, and a server that is asked again at every call."""
    from melanoma_exp.tracking import mlflow_run, upload

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(upload, "FIRST_WAIT", 0.0)
    monkeypatch.setattr(mlflow_run, "INTERVAL", 3600)
    return tmp_path


@pytest.fixture(scope="module")
def expected(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> Any:
    workdir = tmp_path_factory.mktemp("undisturbed")
    run = started(server.uri)
    for step in steps(run, workdir):
        step()
    return content(server, run.id)


def test_an_undisturbed_run_is_on_the_server(expected: Any) -> None:
    assert expected["status"] == "FINISHED" and expected["outputs"]
    assert expected["metrics"]["figure/0"] == [(k, k / 3) for k in range(1, 6)]
    assert len(expected["metrics"]) == 9 and len(expected["params"]) == 150
    assert expected["tags"] == {"folder": "here", "digest": "last"}
    assert ("experiment.json", 8) in expected["artifacts"]
    assert ("figures/weights", 999 * 256) in expected["artifacts"]
    assert "MLmodel" in expected["model"] and "READY" in expected["models"][0][1]
    assert expected["models"][0][3].keys() == {"images", "final/loss", "final/unbounded"}


@pytest.mark.parametrize("lost_at", [0, FIRST_OF_EPOCHS + 2])
def test_a_server_that_comes_back_has_everything_and_says_so_once(
    server: MlflowServer,
    line: Line,
    expected: Any,
    lost_at: int,
    workdir: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    run = started(line.uri)
    for k, step in enumerate(steps(run, workdir)):
        if k == lost_at:
            line.set("cut")
        if k == lost_at + 4:
            assert list((workdir / "mlruns" / "spool").iterdir())
            line.set("whole")
        step()
    assert content(server, run.id) == expected
    assert not list((workdir / "mlruns" / "spool").iterdir())
    lost, back = capsys.readouterr().err.splitlines()
    assert lost.startswith(f"tracking: {line.uri} cannot be used: ") and "the run continues" in lost
    assert back == f"tracking: {line.uri} answers again and has all that was pending"


def test_what_a_lost_server_missed_is_listed_and_delivered_by_sync(
    server: MlflowServer, line: Line, expected: Any, workdir: Path, capsys: pytest.CaptureFixture
) -> None:
    run_id = lost_for_good(line, workdir, "cut", FIRST_OF_EPOCHS + 1)
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2 and errors[1].endswith(f"melanoma-exp sync {run_id}")
    COMMANDS["sync"]([])
    listed = capsys.readouterr().out
    assert (
        f"{run_id} run: 9 entries (2 with files) pending for {line.uri}, ended FINISHED" in listed
    )
    with pytest.raises(UserError, match="no MLflow server answers"):
        COMMANDS["sync"]([run_id])
    line.set("whole")
    archive = Server(kind="server", uri=line.uri, experiment="e").archive()
    with pytest.raises(
        UserError, match=f"no artifact figures/weights.*: melanoma-exp sync {run_id}"
    ):
        archive.file(run_id, "figures/weights")
    COMMANDS["sync"]([run_id])
    printed = capsys.readouterr().out
    assert printed == f"{run_id} run: 9 entries uploaded to {line.uri}, FINISHED\n"
    assert content(server, run_id) == expected
    with pytest.raises(UserError, match=f"^sync: nothing is pending of run {run_id} in {workdir}"):
        COMMANDS["sync"]([run_id])
    COMMANDS["sync"](["--all"])
    assert capsys.readouterr().out == "nothing is pending\n"


def test_a_server_that_moved_is_named_to_sync(
    server: MlflowServer, line: Line, expected: Any, workdir: Path
) -> None:
    run_id = lost_for_good(line, workdir, "cut", 1)
    COMMANDS["sync"](["--all", "tracking=server", f"tracking.uri={server.uri}"])
    assert content(server, run_id) == expected


@pytest.mark.parametrize("answered", [1, 8, 18, 19, 21])  # the last three within the model
def test_requests_that_arrived_without_an_answer_are_not_doubled(
    server: MlflowServer, line: Line, expected: Any, workdir: Path, answered: int
) -> None:
    run = started(line.uri)
    line.set("deaf", answered)
    for step in steps(run, workdir):
        step()
    line.set("whole")
    COMMANDS["sync"]([run.id])
    assert content(server, run.id) == expected


def test_a_delivery_killed_after_every_request_and_repeated_makes_no_doubles(
    server: MlflowServer, line: Line, expected: Any, workdir: Path
) -> None:
    run_id = lost_for_good(line, workdir, "cut", 0)
    line.set("whole")
    script = Path(__file__).parents[1] / "support" / "killed_sync.py"
    done = subprocess.run([sys.executable, str(script), run_id], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout) > 10  # attempts
    assert content(server, run_id) == expected


def test_a_silent_server_delays_a_run_by_one_short_wait(
    server: MlflowServer, line: Line, expected: Any, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from melanoma_exp.tracking import connection, mlflow_store, upload

    monkeypatch.setattr(upload, "FIRST_WAIT", 3600.0)
    monkeypatch.setattr(mlflow_store, "QUICK", 1)
    monkeypatch.setattr(connection, "ANSWER", 1)
    run = started(line.uri)
    line.set("silent")
    took = []
    for step in steps(run, workdir):
        before = time.monotonic()
        step()
        took.append(time.monotonic() - before)
    assert 1 <= took[0] < 30 and sum(seconds >= 1 for seconds in took[1:-2]) == 0
    line.set("whole")
    COMMANDS["sync"]([run.id])
    assert content(server, run.id) == expected


def test_a_resumed_run_uploads_first_and_repeats_nothing(
    server: MlflowServer, line: Line, expected: Any, workdir: Path
) -> None:
    run = started(line.uri)
    for k, step in enumerate(steps(run, workdir)):
        if k == FIRST_OF_EPOCHS + 1:
            line.set("cut")
        if k == FIRST_OF_EPOCHS + 3:
            break  # epoch 1 is on the server, 2 and 3 wait, and the process is gone
        step()
    with pytest.raises(UserError, match="in use by another process"):
        COMMANDS["sync"]([run.id, "tracking=server", f"tracking.uri={server.uri}"])
    run._uploader._journal.close()
    line.set("whole")
    again = started(line.uri, resumed=run.id)
    assert not pending_runs()
    for k, step in enumerate(steps(again, workdir)):
        if k == FIRST_OF_EPOCHS + 2:
            line.set("deaf")  # epoch 3 is there; what is logged of it now gets no answer
        if k == FIRST_OF_EPOCHS + 4:
            line.set("whole")
        step()
    assert content(server, run.id) == expected


def test_what_the_server_refuses_stays_and_is_named(
    server: MlflowServer, line: Line, workdir: Path
) -> None:
    run = started(line.uri)
    run.log_params({"key": 1})
    with pytest.raises(UserError, match="Changing param values is not allowed"):
        run.log_params({"key": 2})
    line.set("cut")
    run.log_metrics({"x": 1.0}, 1)
    run.log_params({"key": 2})
    run.end("FINISHED")
    line.set("whole")
    for _ in range(2):
        with pytest.raises(UserError, match="of [23] entries uploaded.*Changing param values"):
            COMMANDS["sync"]([run.id])
    assert len((workdir / "mlruns/spool" / run.id / "entries.jsonl").read_text().splitlines()) == 3


def test_a_connection_that_is_dropped_once_is_no_lost_server(
    line: Line, workdir: Path, capsys: pytest.CaptureFixture
) -> None:
    run = started(line.uri)
    line.set("drop")
    run.log_metrics({"x": 1.0}, 1)
    run.end("FINISHED")
    assert not capsys.readouterr().err and not pending_runs()


def test_half_a_line_was_never_promised_and_is_dropped(
    server: MlflowServer, line: Line, workdir: Path
) -> None:
    run = started(line.uri)
    line.set("cut")
    run.log_metrics({"x": 1.0}, 1)
    path = workdir / "mlruns" / "spool" / run.id / "entries.jsonl"
    with path.open("ab") as file:
        file.write(b'{"kind": "metr')
        os.fsync(file.fileno())
    run.log_metrics({"x": 2.0}, 2)
    run.end("FINISHED")
    line.set("whole")
    COMMANDS["sync"]([run.id])
    client = run._uploader._store._client
    assert [(p.step, p.value) for p in client.get_metric_history(run.id, "x")] == [(1, 1), (2, 2)]

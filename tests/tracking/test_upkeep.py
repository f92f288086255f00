"""Looking at a store and cleaning it up: lists, deletion, removal for good, MLflow's pages."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from small_run import store

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.local import create_store
from melanoma_exp.tracking.upkeep import ui

HOLD = (
    "import sys, time; from pathlib import Path; from melanoma_exp.system import writer\n"
    "with writer.only_writer(Path(sys.argv[1]), 'it'):\n"
    "    print('held', flush=True); time.sleep(100)"
)


@pytest.fixture
def copied(finished: Any, tmp_path: Path) -> tuple[str, Path]:
    """A copy of a store that moved, beside its finished run a FAILED and a KILLED one."""
    shutil.copytree(finished[0] / "mlruns", tmp_path / "mlruns")
    create_store(tmp_path / "mlruns")
    client = store(tmp_path)
    number = client.get_run(finished[1].info.run_id).info.experiment_id
    for state in ("FAILED", "KILLED"):
        run = client.create_run(number, run_name=state.lower())
        client.set_terminated(run.info.run_id, state)
    return finished[1].info.run_id, tmp_path


def call(place: Path, *words: str) -> None:
    COMMANDS["runs"]([*words, f"tracking.folder={place / 'mlruns'}"])


def states(place: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, list[str]]:
    capsys.readouterr()
    call(place)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:-1]]
    return {row[0]: row for row in rows}


def test_runs_are_listed_and_failed_ones_deleted(
    copied: tuple[str, Path], finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, place = copied
    before = states(place, capsys)
    row = before[run_id]
    metrics = finished[1].data.metrics
    assert row[1] == "FINISHED" and row[-1] == finished[1].info.run_name
    assert row[4] == f"{metrics['final/val/balanced_accuracy']:.3f}"
    with pytest.raises(UserError, match="nobody can be asked"):
        call(place, "delete", "--failed")
    assert states(place, capsys) == before
    call(place, "delete", "--failed", "--yes")
    assert states(place, capsys) == {k: row for k, row in before.items() if row[1] != "FAILED"}


def test_nothing_is_deleted_without_a_yes(
    copied: tuple[str, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _, place = copied
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    before = len(states(place, capsys))
    for answer, left in (("", before), ("n", before), ("y", before - 1)):
        monkeypatch.setattr("builtins.input", lambda _, answer=answer: answer)
        call(place, "delete", "--failed")
        assert len(states(place, capsys)) == left


def test_what_is_removed_for_good_is_in_the_copy_alone(
    copied: tuple[str, Path], finished: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    run_id, place = copied
    call(place, "gc", "--yes")  # what other tests have deleted in the original
    capsys.readouterr()
    original = sorted((finished[0] / "mlruns").rglob("*"))
    before = states(place, capsys)
    models = len(list((place / "mlruns" / "artifacts" / "models").iterdir()))
    (place / "mlruns" / "checkpoints" / run_id).mkdir(parents=True)
    call(place, "gc", "--yes")
    assert "nothing to do" in capsys.readouterr().out
    call(place, "delete", run_id, "--yes")
    assert (place / "mlruns" / "artifacts" / run_id).exists()
    call(place, "gc", "--yes")
    left = [path for path in (place / "mlruns").rglob("*") if run_id in str(path)]
    assert [path.name for path in left if not path.name.endswith(".lock")] == []
    assert len(list((place / "mlruns" / "artifacts" / "models").iterdir())) == models - 1
    assert states(place, capsys) == {k: row for k, row in before.items() if k != run_id}
    assert sorted((finished[0] / "mlruns").rglob("*")) == original


def test_a_run_that_is_written_or_registered_stays(copied: tuple[str, Path]) -> None:
    run_id, place = copied
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(place / "mlruns" / "checkpoints" / f".{run_id}.lock")],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert other.stdout is not None and other.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=f"being written by process {other.pid}"):
        call(place, "delete", run_id, "--yes")
    other.kill()
    other.wait()
    client = store(place)
    client.create_registered_model("kept")
    client.create_model_version("kept", f"runs:/{run_id}/model", run_id)
    call(place, "delete", run_id, "--yes")
    with pytest.raises(UserError, match="version 1 of the registered model kept"):
        call(place, "gc", "--yes")
    assert (place / "mlruns" / "artifacts" / run_id / "artifacts" / "model.json").exists()


@pytest.mark.parametrize("words", [("delete",), ("--failed",), ("gc", "--failed")])
def test_what_to_delete_is_said(words: tuple[str, ...], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="go together"):
        call(tmp_path, *words)


def test_mlflow_shows_what_a_run_is(finished: Any) -> None:
    place, run, _ = finished
    note = run.data.tags["mlflow.note.content"]
    figure = run.data.metrics["final/val/balanced_accuracy"]
    assert note.startswith("**Research software") and "No evaluated image" in note
    assert f"val balanced accuracy {figure:.3f} (" in note and "On validation the alert" in note
    experiment = store(place).get_experiment(run.info.experiment_id)
    assert "Choose by validation" in experiment.tags["mlflow.note.content"]


def test_a_port_that_is_taken_is_not_used() -> None:
    with socket.create_server((ui.HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used"):
            ui.choose_port(port)
        assert ui.choose_port(None) not in (0, port)


@pytest.mark.slow
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_the_pages_of_a_store_leave_no_process(copied: tuple[str, Path], signum: int) -> None:
    run_id, place = copied
    process = subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", "ui", "--port", "0", "tracking.folder=mlruns"],
        cwd=place,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert process.stdout is not None
    address = next(line for line in process.stdout if line.startswith("runs: ")).split()[1]
    server, _, page = address.partition("/#/")
    assert server.startswith("http://127.0.0.1:")
    assert page.endswith("/runs?workflowType=machine_learning")
    number = page.split("/")[1]
    body = json.dumps({"experiment_ids": [number]}).encode()
    asked = urllib.request.Request(f"{server}/api/2.0/mlflow/runs/search", body)
    asked.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(asked, timeout=60) as answer:
        assert run_id in answer.read().decode()
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) >= 2
    process.send_signal(signum)
    assert process.wait(60) == {signal.SIGINT: 0, signal.SIGTERM: 143}.get(signum, -signal.SIGKILL)
    deadline = time.monotonic() + 30
    while left := [one for one in started if one.is_running() and one.status() != "zombie"]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)

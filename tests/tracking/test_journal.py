"""What a run logs is in its journal until its store has it."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from tracked_run import steps

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.tracking.journal import pending_runs
from melanoma_exp.tracking.local import Local
from melanoma_exp.tracking.server import Server


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow  # SQLite waits 20 s for a lock
def test_a_local_database_that_is_locked_loses_nothing(
    workdir: Path, capsys: pytest.CaptureFixture
) -> None:
    folder = workdir / "elsewhere"
    run = Local(kind="local", folder=folder, experiment="e").start("run", Path())
    run.log_metrics({"x": 1.0}, 1)
    with closing(sqlite3.connect(folder / "mlflow.db")) as other:
        other.execute("BEGIN EXCLUSIVE")
        run.log_metrics({"x": 2.0}, 2)
        run.end("FINISHED")
    lost, saved = capsys.readouterr().err.splitlines()
    assert "database is locked" in lost and "the run continues" in lost
    assert saved.endswith(f"melanoma-exp sync {run.id} tracking.folder={folder}")
    COMMANDS["sync"](saved.split()[-2:])
    archive = Local(kind="local", folder=folder, experiment="e").archive()
    assert archive.series(run.id, "x") == [(1, 1.0), (2, 2.0)]
    assert archive.run(run.id).status == "FINISHED" and not list((folder / "spool").iterdir())


def test_a_full_disk_alone_keeps_nothing_from_a_store_that_answers(
    workdir: Path, disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = disk("64k")
    monkeypatch.chdir(small)
    server = Server(kind="server", uri=f"sqlite:///{workdir}/other.db", experiment="e")
    run = server.start("run", Path())
    with (small / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))
    run.log_metrics({"x": 1.0}, 1)
    run.end("FINISHED")
    archive = server.archive()
    assert archive.series(run.id, "x") == [(1, 1.0)] and archive.run(run.id).status == "FINISHED"


def test_a_run_whose_store_answers_leaves_no_journal(workdir: Path) -> None:
    run = Local(kind="local", folder=workdir / "mlruns", experiment="e").start("run", Path())
    for step in steps(run, workdir / "files"):
        step()
        assert not pending_runs()
    assert not list((workdir / "mlruns" / "spool").iterdir())

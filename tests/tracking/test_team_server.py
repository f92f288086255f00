"""A server for a team: PostgreSQL behind it, many runs at once, killed and started again."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mlflow_server import MlflowServer, content
from postgres import Postgres
from small_run import overrides
from tracked_run import KEYS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
RUNS, EPOCHS = 16, 40


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    database = Postgres()
    try:
        database.start()
        yield database
    finally:
        database.remove()


@pytest.fixture(scope="module")
def server(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path_factory.mktemp("server"), postgres.uri, workers=2)
    running.start()
    yield running
    running.kill()


def recorded(server: MlflowServer, workdir: Path, epochs: int, pause: float) -> subprocess.Popen:
    """Starts a process that records one run."""
    workdir.mkdir()
    script = Path(__file__).parents[1] / "support" / "tracked_run.py"
    return subprocess.Popen(
        [sys.executable, str(script), str(workdir), server.uri, str(epochs), str(pause)],
        cwd=workdir,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def call(process: subprocess.Popen, number: int) -> None:
    """Waits until so many calls of a run are done."""
    assert process.stdout is not None
    while process.stdout.readline().strip() != str(number):
        assert process.poll() is None


def begun(server: MlflowServer, workdir: Path) -> tuple[subprocess.Popen, str]:
    """Starts a process that records one run and returns it six calls later, with the run's id."""
    process = recorded(server, workdir, 5, 0.3)
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    call(process, 6)
    return process, run_id


@pytest.fixture(scope="module")
def expected(server: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    process = recorded(server, tmp_path_factory.mktemp("undisturbed") / "run", 5, 0)
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and not errors, errors
    return content(server, out.split()[0])


def sync(run_id: str, workdir: Path) -> str:
    command = [sys.executable, "-m", "melanoma_exp", "sync", run_id]
    done = subprocess.run(command, cwd=workdir, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_sixteen_runs_at_once_lose_nothing(server: MlflowServer, tmp_path: Path) -> None:
    started = [recorded(server, tmp_path / str(k), EPOCHS, 0) for k in range(RUNS)]
    ended = [process.communicate(timeout=1000) for process in started]
    failed = [errors for _, errors in ended if errors]
    assert not failed and not any(process.returncode for process in started), failed
    ids = [out.split()[0] for out, _ in ended]
    assert len(set(ids)) == RUNS
    count = 0
    for run_id in ids:
        found = content(server, run_id)
        assert found["status"] == "FINISHED" and "READY" in found["models"][0][1]
        assert len(found["params"]) == 150 and ("figures/weights", 999 * 256) in found["artifacts"]
        for key in KEYS:
            assert found["metrics"][key] == [(k, k / 3) for k in range(1, EPOCHS + 1)]
        count += sum(map(len, found["metrics"].values()))
    assert count == RUNS * (EPOCHS * len(KEYS) + 3)


def test_a_server_killed_and_started_again_has_everything(
    server: MlflowServer, tmp_path: Path, expected: dict[str, Any]
) -> None:
    process, run_id = begun(server, tmp_path / "run")
    server.kill()
    call(process, 8)
    (tmp_path / "run" / "cut").touch()  # the run waits, so that it sees the server again
    server.start()
    (tmp_path / "run" / "cut").unlink()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0
    assert (
        "continues" in errors.splitlines()[0]
        and "has all that was pending" in errors.splitlines()[1]
    )
    assert len(errors.splitlines()) == 2, errors
    assert content(server, run_id) == expected


def test_a_server_that_came_back_too_late_is_synced(
    server: MlflowServer, tmp_path: Path, expected: dict[str, Any]
) -> None:
    process, run_id = begun(server, tmp_path / "run")
    server.kill()
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0 and len(errors.splitlines()) == 2, errors
    server.start()
    assert "uploaded to" in sync(run_id, tmp_path / "run")
    assert content(server, run_id) == expected


def test_a_server_without_its_database_is_a_lost_one(
    postgres: Postgres, server: MlflowServer, tmp_path: Path, expected: dict[str, Any]
) -> None:
    process, run_id = begun(server, tmp_path / "run")
    postgres.stop()
    try:
        _, errors = process.communicate(timeout=300)
    finally:
        postgres.start()
    assert process.returncode == 0 and len(errors.splitlines()) == 2, errors
    sync(run_id, tmp_path / "run")
    assert content(server, run_id) == expected


def test_a_training_that_loses_its_server_ends_as_one_that_did_not(
    server: MlflowServer, images: Path, tmp_path: Path
) -> None:
    def train(workdir: Path, at_epoch: int | None) -> tuple[str, str]:
        words = overrides(images, tmp_path, "tracking=off", "train.epochs=6")
        words.remove("tracking=off")
        words += ["tracking=server", f"tracking.uri={server.uri}", "hydra.run.dir=hydra"]
        workdir.mkdir()
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "melanoma_exp", *words],
            cwd=workdir,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        out = ""
        for line in process.stdout:
            out += line
            if at_epoch is not None and line.startswith(f"epoch {at_epoch}/"):
                server.kill()
        errors = process.communicate(timeout=600)[1]
        assert process.returncode == 0, errors
        return re.findall("run ([0-9a-f]{32})", out)[-1], errors

    whole, errors = train(tmp_path / "whole", None)
    assert not errors
    lost, errors = train(tmp_path / "lost", 2)
    assert len(errors.splitlines()) == 2, errors
    server.start()
    sync(lost, tmp_path / "lost")
    ours, theirs = content(server, lost), content(server, whole)
    assert ours["status"] == theirs["status"] == "FINISHED"
    assert ours["metrics"].keys() == theirs["metrics"].keys()
    for key, points in theirs["metrics"].items():
        assert [step for step, _ in ours["metrics"][key]] == [step for step, _ in points], key
        if not any(time in key for time in ("seconds", "per_second", "wait_share")):
            assert ours["metrics"][key] == points, key
    assert [name for name, _ in ours["artifacts"]] == [name for name, _ in theirs["artifacts"]]
    assert ours["params"] == theirs["params"] and ours["model"] == theirs["model"]


def test_every_second_of_an_outage_is_bearable(server: MlflowServer, tmp_path: Path) -> None:
    """The process that loses its server for good needs no longer than one that has it."""
    process = recorded(server, tmp_path / "run", 5, 0)
    assert process.stdout is not None
    process.stdout.readline()
    server.kill()
    before = time.monotonic()
    process.communicate(timeout=300)
    assert process.returncode == 0 and time.monotonic() - before < 60
    server.start()

"""How runs end where something goes wrong, and how they share a machine and a server."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from mlflow_server import MlflowServer
from small_run import JUDGED, experiment, overrides, runs, store

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.report.run_page import write
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.local import create_store
from melanoma_exp.training.signals import Interrupted


@pytest.mark.slow
def test_a_run_that_is_stopped_before_its_page_gets_it_when_it_is_resumed(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> str:
        raise Interrupted(signal.SIGTERM)

    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(write, "of_ending", stop)
        runner.run(experiment(images, tmp_path, "evaluation.report=true"), tmp_path / "job", {})
    (run,) = runs(tmp_path)
    page = Path(run.info.artifact_uri.removeprefix("file://")) / "report.html"
    assert run.info.status == "KILLED" and not page.exists()
    COMMANDS["resume"]([run.info.run_id, *experiment(images, tmp_path).command_overrides()])
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED" and "Images, from found to used" in page.read_text()


def test_an_unwritable_folder_is_one_clear_line(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = experiment(images, tmp_path, f"tracking.folder={tmp_path}/file/mlruns")
    with pytest.raises(UserError, match=r"^tracking.folder: cannot write .*file/mlruns"):
        runner.run(blocked, tmp_path, {})


def test_a_full_disk_is_one_clear_line(
    images: Path, tmp_path: Path, disk: Callable[[str], Path]
) -> None:
    small = disk("64k")
    full = experiment(images, tmp_path, f"cache.dir={small}", "dataset.image_size=[64,64]")
    with pytest.raises(UserError, match="^cache.dir: cannot write .* No space left on device"):
        runner.run(full, tmp_path, {})
    assert not list(small.rglob("*.npy")) and not list(small.rglob("*.tmp"))


@pytest.mark.parametrize(
    "signum", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
def test_a_stopped_run_is_marked_killed_and_keeps_what_was_logged(
    images: Path, tmp_path: Path, signum: int
) -> None:
    create_store(tmp_path / "mlruns")  # as any but the first run finds it
    command = overrides(images, tmp_path, "train.epochs=5000")
    process = subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", *command, f"hydra.run.dir={tmp_path}/hydra"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("epoch 3/"):
            break
    process.send_signal(signum)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signum
    assert "interrupted" in errors and "Traceback" not in errors
    (run,) = runs(tmp_path)
    assert run.info.status == "KILLED"
    assert run.info.end_time is not None
    assert len(store(tmp_path).get_metric_history(run.info.run_id, "val/loss")) >= 3


def test_a_sweep_continues_past_a_job_that_fails_and_mirrored_replicas_train(
    images: Path, tmp_path: Path
) -> None:
    command = overrides(
        images,
        tmp_path,
        "distribution=mirrored",
        "distribution.virtual_cpus=true",
        "train.batch_size=7,8",
        "train.epochs=1",
    )
    command.remove("train.batch_size=8")
    create_store(tmp_path / "mlruns")
    done = subprocess.run(
        [sys.executable, "-m", "melanoma_exp", "-m", *command, f"hydra.sweep.dir={tmp_path}/hydra"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=280,
    )
    assert done.returncode == 1, done.stderr
    assert "train.batch_size=7 is not divisible by 2 replicas; use 6" in done.stdout
    assert f"log: {tmp_path}/hydra/0/job.log" in done.stdout
    found = runs(tmp_path)
    (parent,) = (run for run in found if "sweep_parent" in run.data.tags)
    assert parent.info.status == "FAILED"  # the failed job has no run of its own
    (run,) = (run for run in found if "job" in run.data.tags)
    assert run.info.status == "FINISHED" and run.data.tags["job"] == "1"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert run.data.tags["sweep"] == parent.data.tags["sweep_parent"]
    assert parent.data.tags["best_run"] == run.info.run_id
    assert parent.info.end_time >= run.info.end_time


def forking(place: Path, code: str) -> str:
    """Returns what code prints in a process that has imported MLflow, ready to fork."""
    imports = "import os, signal, sys, time; from pathlib import Path; import mlflow.store.tracking"
    local = "from melanoma_exp.tracking.local import Local, create_store"
    code = f"{imports}.sqlalchemy_store\n{local}\n{textwrap.dedent(code)}"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_processes_that_start_at_once_share_a_store_that_does_not_exist_yet(tmp_path: Path) -> None:
    code = """
        children = []
        for _ in range(4):
            children.append(os.fork())
            if not children[-1]:
                store = Local(kind="local", folder=Path("mlruns"), experiment="e")
                run = store.start("r", Path("."))
                run.log_metrics({"x": 1.0}, 1)
                run.end("FINISHED")
                sys.exit()
        print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
    """
    assert forking(tmp_path, code).splitlines()[-1] == str([0] * 4)
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"] * 4


def test_a_process_killed_while_it_makes_the_store_leaves_nothing_broken(tmp_path: Path) -> None:
    code = """
        child, deadline = os.fork(), time.monotonic() + 120
        if not child:
            create_store(Path("."))
            sys.exit()
        while not list(Path(".").glob("*.db*")) and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(0.3)  # in the middle of the migrations
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(sorted(path.name for path in Path(".").glob("*.db*")))
        create_store(Path("."))
        print(sorted(path.name for path in Path(".").glob("*.db*")))
    """
    killed, ended = forking(tmp_path, code).splitlines()[-2:]
    assert "'mlflow.db.new'" in killed and "'mlflow.db'" not in killed
    assert ended == "['mlflow.db']"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a real MLflow server."""
    running = MlflowServer(tmp_path)
    running.start()
    yield running.uri
    running.kill(signal.SIGTERM)


@pytest.mark.slow
def test_a_run_is_recorded_on_a_server_with_its_artifacts(
    images: Path, tmp_path: Path, server: str
) -> None:
    import mlflow

    tracked = compose.compose(
        conf_folder(),
        overrides(images, tmp_path, "tracking=off")[:-1]
        + ["tracking=server", f"tracking.uri={server}", "train.epochs=1"]
        + JUDGED,
    )
    runner.run(config.parse(tracked), tmp_path, {})
    client = mlflow.MlflowClient(server)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    assert run.info.status == "FINISHED" and run.data.params["tracking.uri"] == server
    assert {a.path for a in client.list_artifacts(run.info.run_id)} >= {"figures", "split.csv"}


def test_a_server_that_does_not_answer_is_one_clear_line() -> None:
    from melanoma_exp.tracking.server import Server

    absent = Server(kind="server", uri="http://127.0.0.1:9", experiment="e")
    with pytest.raises(UserError, match=r"^tracking.uri: no MLflow server answers at http://127"):
        absent.start("run", Path())


def test_a_process_that_has_ended_and_was_not_collected_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    seen = psutil.Process(child.pid)
    identity = f"{socket.gethostname()}:{child.pid}:{seen.create_time():.0f}"
    assert provenance.is_alive(identity)
    assert child.stdin is not None
    child.stdin.close()
    while seen.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    assert provenance.is_alive(identity) is False
    child.wait()
    assert provenance.is_alive(identity) is False

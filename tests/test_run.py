"""A whole run on real files with a real MLflow store: what it leaves behind, and how it ends."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from melanoma_exp import cli, composition, config, runner
from melanoma_exp.spec import UserError

SMALL = [
    "dataset=folder", "dataset.image_size=[16,16]", "model=m3", "model.filters=[[4],[8]]",
    "model.dense=[8]", "train.epochs=2", "train.batch_size=8",
]  # fmt: skip
CHILDREN = ["augment=augmentor", "balance.count=6"]
SCORES = {
    "accuracy", "balanced_accuracy", "macro_f1", "macro_auc", "melanoma_sensitivity",
    "melanoma_specificity",
}  # fmt: skip


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for label, (name, count) in enumerate({"melanoma": 14, "naevus": 18, "other": 10}.items()):
        (root / name).mkdir()
        for k in range(count):
            pixels = random.integers(0, 90, (20, 24, 3)) + 70 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{name}{k}.png")
    return root


def overrides(images: Path, place: Path, *more: str) -> list[str]:
    tracking = [] if "tracking=off" in more else [f"tracking.folder={place / 'mlruns'}"]
    return [*SMALL, f"dataset.root={images}", f"cache.dir={place / 'cache'}", *tracking, *more]


def experiment(images: Path, place: Path, *more: str) -> config.Experiment:
    return config.parse(composition.compose(cli.conf_folder(), overrides(images, place, *more)))


def store(place: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{place}/mlruns/mlflow.db")


def runs(place: Path) -> list[Any]:
    client = store(place)
    return client.search_runs([e.experiment_id for e in client.search_experiments()])


@pytest.fixture(scope="session")
def finished(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """One finished run: its place, the MLflow run and its artifacts."""
    place = tmp_path_factory.mktemp("finished")
    runner.run(experiment(images, place, *CHILDREN), place, {"sweep": "none"})
    (run,) = runs(place)
    return place, run, Path(run.info.artifact_uri.removeprefix("file://"))


def test_a_run_leaves_everything_a_researcher_expects(finished: Any) -> None:
    _, run, artifacts = finished
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "m3-augmentor-folder-holdout-s1"
    found = {p.relative_to(artifacts).as_posix() for p in artifacts.rglob("*") if p.is_file()}
    assert found >= {
        "experiment.json", "split.csv", "model_summary.txt", "model.weights.h5",
        "predictions_val.csv", "predictions_test.csv", "classes_val.csv", "classes_test.csv",
    }  # fmt: skip
    figures = {
        "examples", "augmentation", "class_counts", "curves", "confusion_val", "confusion_test",
        "mistakes_val", "mistakes_test", "classes_val", "classes_test",
    }  # fmt: skip
    assert {f"figures/{name}.png" for name in figures} <= found
    assert {f"final/{part}/{name}" for part in ("val", "test") for name in SCORES} <= set(
        run.data.metrics
    )
    assert {"git_commit", "git_dirty", "dataset_digest", "split_digest", "config_digest", "leaky",
            "version.tensorflow", "machine.cpu"} <= set(run.data.tags)  # fmt: skip
    assert run.data.params["model.filters"] == "[[4], [8]]"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == run.data.tags["dataset_digest"]


def test_params_are_the_complete_config(finished: Any) -> None:
    _, run, artifacts = finished
    logged = config.parse_json((artifacts / "experiment.json").read_text())
    assert run.data.params == {key: str(value) for key, value in logged.flat().items()}


def test_each_curve_is_one_series_by_epoch(finished: Any) -> None:
    place, run, _ = finished
    for name in ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "learning_rate",
                 "seconds", "images_per_second"):  # fmt: skip
        steps = [m.step for m in store(place).get_metric_history(run.info.run_id, name)]
        assert steps == [1, 2], name


def test_predictions_name_every_image_once_and_agree_with_the_figures(finished: Any) -> None:
    _, run, artifacts = finished
    split = list(csv.DictReader((artifacts / "split.csv").open()))
    for part in ("val", "test"):
        rows = list(csv.DictReader((artifacts / f"predictions_{part}.csv").open()))
        assert sorted(r["id"] for r in rows) == sorted(r["id"] for r in split if r["part"] == part)
        chances = np.array([[float(r[c]) for c in ("melanoma", "naevus", "other")] for r in rows])
        np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-6)
        accuracy = np.mean([r["label"] == r["predicted"] for r in rows])
        assert accuracy == pytest.approx(run.data.metrics[f"final/{part}/accuracy"])


def test_children_live_in_train_alone_and_carry_their_parents_id(finished: Any) -> None:
    _, run, artifacts = finished
    split = list(csv.DictReader((artifacts / "split.csv").open()))
    children = [row for row in split if "#" in row["id"]]
    train = {row["source"] for row in split if row["part"] == "train"}
    assert len(children) == 18 and {row["part"] for row in children} == {"train"}
    assert {row["source"] for row in children} <= train
    assert run.data.metrics["leak/val_rows_with_train_source"] == 0
    assert run.data.tags["leaky"] == "false"


def test_the_logged_model_gives_the_recorded_predictions(images: Path, finished: Any) -> None:
    import mlflow

    from melanoma_exp.dataset.decode import decode

    place, run, artifacts = finished
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlruns/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    rows = list(csv.DictReader((artifacts / "predictions_val.csv").open()))
    batch = np.stack([decode(images / r["source"], (16, 16), "bilinear", 10**6) for r in rows])
    guess = np.asarray(model.predict(batch)).argmax(axis=1)
    names = ("melanoma", "naevus", "other")
    assert [names[k] for k in guess] == [row["predicted"] for row in rows]


def test_a_rerun_ends_with_identical_figures_and_weights(
    finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import h5py

    place, run, artifacts = finished
    monkeypatch.chdir(place)
    cli.rerun(
        [run.info.run_id, f"tracking.folder={place / 'mlruns'}", f"cache.dir={place / 'cache'}"]
    )
    again = next(r for r in runs(place) if r.info.run_id != run.info.run_id)
    assert again.data.tags["rerun_of"] == run.info.run_id
    for name, value in run.data.metrics.items():
        if name.startswith(("final/", "train/", "val/", "leak/")):
            assert again.data.metrics[name] == value, name
    weights = []
    for folder in (artifacts, Path(again.info.artifact_uri.removeprefix("file://"))):
        found: dict[str, np.ndarray] = {}
        with h5py.File(folder / "model.weights.h5") as file:
            file.visititems(
                lambda name, node, found=found: found.update({name: node[()]})
                if isinstance(node, h5py.Dataset) else None
            )  # fmt: skip
        weights.append(found)
    assert weights[0].keys() == weights[1].keys() and weights[0]
    assert all(np.array_equal(weights[0][k], weights[1][k]) for k in weights[0])


def test_the_published_order_measures_its_leak_and_is_marked(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    published = experiment(images, tmp_path, "split=published", "train.epochs=1", *CHILDREN)
    runner.run(published, tmp_path, {})
    (run,) = runs(tmp_path)
    assert run.data.tags["leaky"] == "true"
    assert run.data.metrics["leak/val_rows_with_train_source"] > 0.2
    printed = capsys.readouterr().out
    assert "LEAKY" in printed and "Result (leaky)" in printed


def test_a_dry_run_stops_after_the_plan(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runner.run(experiment(images, tmp_path, "dry_run=true", *CHILDREN), tmp_path, {}) is None
    printed = capsys.readouterr().out
    assert "parameters" in printed and "synthetic" in printed and "epoch 1" not in printed
    assert not (tmp_path / "mlruns").exists()


def test_tracking_off_leaves_everything_in_the_runs_folder(images: Path, tmp_path: Path) -> None:
    off = experiment(images, tmp_path, "tracking=off", "augment=dihedral")
    runner.run(off, tmp_path, {})
    assert (tmp_path / "artifacts/predictions_test.csv").exists()
    assert json.loads((tmp_path / "tags.json").read_text())["status"] == "FINISHED"
    assert not (tmp_path / "mlruns").exists()


def test_an_unwritable_place_is_one_clear_line(images: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    blocked = experiment(images, tmp_path, f"tracking.folder={tmp_path}/file/mlruns")
    with pytest.raises(UserError, match=r"^tracking.folder: cannot write .*file/mlruns"):
        runner.run(blocked, tmp_path, {})


def test_a_full_disk_is_one_clear_line(images: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    try:
        full = experiment(images, tmp_path, f"cache.dir={small}", "dataset.image_size=[64,64]")
        with pytest.raises(UserError, match="^cache.dir: cannot write .* No space left on device"):
            runner.run(full, tmp_path, {})
        assert not list(small.rglob("*.npy")) and not list(small.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_run_is_marked_killed_and_keeps_what_was_logged(
    images: Path, tmp_path: Path, signum: int
) -> None:
    command = overrides(images, tmp_path, "train.epochs=5000")
    process = subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", *command, f"hydra.run.dir={tmp_path}/hydra"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
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


def test_a_sweep_goes_on_past_a_job_that_fails_and_mirrored_replicas_train(
    images: Path, tmp_path: Path
) -> None:
    command = overrides(
        images, tmp_path, "distribution=mirrored", "distribution.virtual_cpus=true",
        "train.batch_size=7,8", "train.epochs=1",
    )  # fmt: skip
    command.remove("train.batch_size=8")
    done = subprocess.run(
        [sys.executable, "-m", "melanoma_exp", "-m", *command, f"hydra.sweep.dir={tmp_path}/hydra"],
        capture_output=True, text=True, cwd=tmp_path, timeout=280,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "train.batch_size=7 is not divisible by 2 replicas; use 6" in done.stderr
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED" and run.data.tags["job"] == "1"


def test_processes_that_start_at_once_share_a_store_that_does_not_exist_yet(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from melanoma_exp.tracking.spec import Local;"
        f"run = Local(kind='local', folder=Path({str(tmp_path / 'mlruns')!r}), experiment='e')"
        ".start('r', Path('.')); run.log_metrics({'x': 1.0}, 1); run.end('FINISHED')"
    )
    started = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    deadline = time.monotonic() + 120
    assert [p.wait(deadline - time.monotonic()) for p in started] == [0] * 4
    assert [run.info.status for run in runs(tmp_path)] == ["FINISHED"] * 4


@pytest.fixture
def server(tmp_path: Path) -> Any:
    """A real MLflow server on a free port of this machine."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port),
         "--backend-store-uri", f"sqlite:///{tmp_path}/server.db", "--workers", "1",
         "--artifacts-destination", str(tmp_path / "kept")],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path, start_new_session=True,
    )  # fmt: skip
    uri = f"http://127.0.0.1:{port}"
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"{uri}/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.5)
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def test_a_run_is_recorded_on_a_server_with_its_artifacts(
    images: Path, tmp_path: Path, server: str
) -> None:
    import mlflow

    tracked = composition.compose(
        cli.conf_folder(),
        overrides(images, tmp_path, "tracking=off")[:-1]
        + ["tracking=server", f"tracking.uri={server}", "train.epochs=1"],
    )
    runner.run(config.parse(tracked), tmp_path, {})
    client = mlflow.MlflowClient(server)
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments)
    assert run.info.status == "FINISHED" and run.data.params["tracking.uri"] == server
    assert {a.path for a in client.list_artifacts(run.info.run_id)} >= {"figures", "split.csv"}


def test_a_server_that_does_not_answer_is_one_clear_line() -> None:
    from melanoma_exp.tracking.spec import Server

    absent = Server(kind="server", uri="http://127.0.0.1:9", experiment="e")
    with pytest.raises(UserError, match=r"^tracking.uri: no MLflow server answers at http://127"):
        absent.start("run", Path())

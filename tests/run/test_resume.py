"""A run that was killed or stopped anywhere and resumed ends as one that never stopped."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import experiment, overrides, runs, store
from stopped_run import interrupted, run_command, same_weights

from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance, watchdog

RESUMED = [
    "augment=dihedral",
    "model.dropout=0.2",
    "model.norm=after_pool",
    "train.epochs=4",
    "train.ema=0.9",
    "train.keep=best",
    "train.schedule=plateau",
    "train.early_stopping.patience=3",
    "train.checkpoint.every_steps=1",
]


def killed_again_and_again(images: Path, place: Path, kills: int, seed: int, *more: str) -> None:
    """Starts a run, kills it at random moments, resumes it to its end, and compares."""
    whole = place / "whole"
    runner.run(experiment(images, whole, *RESUMED, *more), place / "job0", {})
    (expected,) = runs(whole)
    script = Path(__file__).parents[1] / "support" / "killed_run.py"
    words = overrides(images, place, *RESUMED, *more)
    command = [sys.executable, str(script), str(kills), str(seed), str(place / "job1"), *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    assert done.returncode == 0, done.stdout + done.stderr
    (run,) = runs(place)
    assert run.info.status == "FINISHED"
    for key in expected.data.metrics:
        if not key.startswith(("system/", "seconds", "images_per", "data/")):
            ours, theirs = (
                [(m.step, m.value) for m in store(p).get_metric_history(r.info.run_id, key)]
                for p, r in ((place, run), (whole, expected))
            )
            assert sorted(ours) == sorted(theirs), key
    h5 = [Path(r.info.artifact_uri.removeprefix("file://")) for r in (run, expected)]
    assert same_weights(*(folder / "model.weights.h5" for folder in h5))
    assert not (place / "mlruns" / "checkpoints" / run.info.run_id).exists()


@pytest.mark.slow
def test_a_run_that_is_killed_five_times_ends_as_one_that_never_was(
    images: Path, tmp_path: Path
) -> None:
    killed_again_and_again(images, tmp_path, kills=5, seed=1)


@pytest.mark.slow
def test_a_killed_run_of_mixed_images_drawn_by_weight_ends_as_one_that_never_was(
    images: Path, tmp_path: Path
) -> None:
    mixed = ("augment=cutmix", "balance=sampling", "balance.images=30")
    killed_again_and_again(images, tmp_path, 4, 1, *mixed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "train.features={views: 3, seed: 7}",
        "train.fine_tuning={head_epochs: 1, trainable_stages: 3, layer_decay: 0.7, "
        "unfreeze_every: 1, freeze_norm: false}",
    ],
)
def test_a_killed_run_of_a_head_or_in_phases_ends_as_one_that_never_was(
    images: Path, tmp_path: Path, more: str
) -> None:
    killed_again_and_again(images, tmp_path, 6, 1, more)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("seed", range(2, 12))
def test_a_run_that_is_killed_a_hundred_times_in_all(
    images: Path, tmp_path: Path, seed: int
) -> None:
    killed_again_and_again(images, tmp_path, kills=10, seed=seed)


def test_resume_continues_a_stopped_run_once(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    with monkeypatch.context() as patch:  # by `launch`, each of whose workers would do it alone
        patch.setenv(watchdog.LAUNCHED, "0")
        with pytest.raises(UserError, match=r"one process .distribution=single.; resume with: "):
            run_command("resume", tmp_path, run_id)
    run_command("resume", tmp_path, run_id)
    assert f"run {run_id} resumes after epoch 1" in capsys.readouterr().out
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    with pytest.raises(UserError, match=f"{run_id} has finished; `melanoma-exp rerun"):
        run_command("resume", tmp_path, run_id)


def test_another_config_or_dataset_is_refused_with_the_difference(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    other = experiment(images, tmp_path, "train.epochs=9", "seed=5")
    with pytest.raises(UserError) as refused:
        runner.run(other, tmp_path / "job", {}, run_id)
    assert refused.value.lines[1:] == ("seed: was 1, is 5", "train.epochs: was 2, is 9")
    fewer = tmp_path / "fewer"
    shutil.copytree(images, fewer)
    next((fewer / "melanoma").iterdir()).unlink()
    with pytest.raises(UserError, match="split.csv: had melanoma/"):
        runner.run(experiment(fewer, tmp_path), tmp_path / "job", {}, run_id)
    (run,) = runs(tmp_path)
    assert run.info.status == "KILLED"


def test_a_run_whose_process_is_gone_is_marked_and_one_at_work_is_left_alone(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    client = store(tmp_path)
    client.update_run(run_id, status="RUNNING")
    run_command("reconcile", tmp_path)
    assert "is running" in capsys.readouterr().out
    with pytest.raises(UserError, match=f"is still running, as process {os.getpid()}"):
        run_command("resume", tmp_path, run_id)
    child = subprocess.Popen(["true"])
    child.wait()
    host, _, started = provenance.process().rsplit(":", 2)
    client.set_tag(run_id, "process", f"{host}:{child.pid}:{started}")
    run_command("reconcile", tmp_path)
    assert "marked KILLED" in capsys.readouterr().out
    assert client.get_run(run_id).info.status == "KILLED"
    client.update_run(run_id, status="RUNNING")
    client.set_tag(run_id, "process", "elsewhere:1:2")
    run_command("reconcile", tmp_path)
    assert "was started on elsewhere, left as it is" in capsys.readouterr().out
    shutil.rmtree(tmp_path / "mlruns" / "checkpoints")  # they are elsewhere, too
    with pytest.raises(UserError, match="is recorded as running on elsewhere and has no checkpoi"):
        run_command("resume", tmp_path, run_id)


@pytest.mark.slow
def test_the_same_job_started_again_in_its_folder_resumes(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch)
    command = [sys.executable, "-m", "melanoma_exp", *overrides(images, tmp_path)]
    command.append(f"hydra.run.dir={tmp_path}/job")
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert f"run {run_id} resumes after epoch 1" in done.stdout, done.stderr
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert f"run {run_id} has finished here already" in done.stdout and done.returncode == 0
    assert [run.info.run_id for run in runs(tmp_path)] == [run_id]

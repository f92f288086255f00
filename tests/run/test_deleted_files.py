"""A run whose files somebody deletes while it trains does not end as if it had them."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from small_run import experiment, runs, store
from stopped_run import run_command

from melanoma_exp.report import console
from melanoma_exp.run import resume, runner
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.local import Local
from melanoma_exp.tracking.off import Off


def test_it_fails_names_them_and_resume_makes_them_again(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlruns, found = tmp_path / "mlruns", []

    def delete(self: Any, epoch: int, metrics: Any) -> None:
        if epoch == 1:
            found.extend(path.name for path in mlruns.glob("artifacts/*/artifacts/*"))
            shutil.rmtree(mlruns / "artifacts")
            shutil.rmtree(mlruns / "checkpoints")

    asked = experiment(images, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(console.Screen, "epoch", delete)
        with pytest.raises(UserError) as failed:
            runner.run(asked, tmp_path / "job", {})
    (run,) = runs(tmp_path)
    run_id = run.info.run_id
    assert run.info.status == "FAILED"
    (line,) = failed.value.lines
    assert line.startswith(f"run {run_id}: audit.csv, audit.html, model_summary.txt and 1 more ")
    assert "deleted while it was at work" in line and f"melanoma-exp resume {run_id}" in line
    assert {path.name for path in (mlruns / "checkpoints" / run_id).iterdir()} > set(resume.BEGUN)
    run_command("resume", tmp_path, run_id)
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    (artifacts,) = mlruns.glob("artifacts/*/artifacts")
    assert {path.name for path in artifacts.iterdir()} > {*found, "model.weights.h5"}
    points = store(tmp_path).get_metric_history(run_id, "val/loss")
    assert [point.step for point in points] == [1, 2]
    assert len(store(tmp_path).get_metric_history(run_id, "train_images")) == 1


def saved(run: Any, folder: Path) -> None:
    for name in ("experiment.json", "split.csv", "weights"):
        (folder / name).write_text(name)
        run.log_file(folder / name, "figures" if name == "weights" else "")


def test_a_store_that_is_deleted_or_replaced_is_noticed(tmp_path: Path) -> None:
    local = Local(kind="local", folder=tmp_path / "mlruns", experiment="e")
    run = local.start("run", tmp_path)
    saved(run, tmp_path)
    assert run.missing_files(resume.BEGUN) == []
    (tmp_path / "mlruns/artifacts" / run.id / "artifacts/figures/weights").unlink()
    assert run.missing_files(["other"]) == ["figures/weights", "other"]
    (tmp_path / "mlruns" / "mlflow.db").unlink()
    with pytest.raises(UserError, match=r"mlflow.db was deleted or replaced while run .* at work"):
        run.missing_files([])
    run.end("FAILED")


def test_without_mlflow_the_folder_of_a_run_is_watched_alike(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    run = Off(kind="off").start("run", folder)
    saved(run, tmp_path)
    run.log_metrics({"x": 1.0}, 1)
    assert run.missing_files(resume.BEGUN) == []
    with (folder / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "x"')  # the process was killed here
    again = Off(kind="off").start("run", folder, run.id)
    again.log_metrics({"x": 1.0}, 1)
    again.log_metrics({"x": 2.0}, 2)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert lines == ['{"step": 1, "x": 1.0}', '{"step": 2, "x": 2.0}']
    shutil.rmtree(folder)
    run.log_metrics({"x": 3.0}, 3)
    assert run.missing_files([]) == ["experiment.json", "figures/weights", "split.csv"]

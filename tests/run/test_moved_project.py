"""A project that is copied, renamed and moved goes on with everything in it."""

import os
import shutil
import signal
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from small_run import experiment, runs, store

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.report import console
from melanoma_exp.run import resume, runner
from melanoma_exp.training.signals import Interrupted


def here(project: Path) -> str:
    """Names the store; a process of MLflow's keeps what a relative path meant at first."""
    return f"tracking.folder='{project}/mlruns'"


def content(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
def test_runs_are_resumed_compared_averaged_and_used_where_they_are_now(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(self: Any, epoch: int, metrics: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    first = tmp_path / "A"
    first.mkdir()
    monkeypatch.chdir(first)
    cache = f"cache.dir={tmp_path}/cache"
    runner.run(experiment(images, first, cache), Path("mlruns/hydra/one"), {})
    asked = experiment(images, first, cache, "seed=2")
    with monkeypatch.context() as patch, pytest.raises(Interrupted):
        patch.setattr(console.Screen, "epoch", stop)
        runner.run(asked, Path("mlruns/hydra/two"), {})
    found = {run.data.params["seed"]: run.info.run_id for run in runs(first)}

    second = tmp_path / "a copy (2)"
    shutil.copytree(first, second)
    before = content(first)
    monkeypatch.chdir(second)
    COMMANDS["resume"]([found["2"], here(second), cache])
    assert content(first) == before
    shutil.rmtree(first)
    noted = resume.find_started_run(second / "mlruns" / "hydra" / "two")
    assert noted is not None and noted.run_id == found["2"] and noted.scores
    COMMANDS["compare"]([*found.values(), here(second), cache, "--out", "compared"])
    COMMANDS["ensemble"]([*found.values(), here(second), cache])
    (whole,) = (run.info.run_id for run in runs(second) if run.info.run_id not in found.values())

    third = tmp_path / "elsewhere" / "project"
    third.parent.mkdir()
    second.rename(third)
    monkeypatch.chdir(third)
    picture = next(images.rglob("*.png"))
    for run_id in (*found.values(), whole):
        COMMANDS["predict"]([run_id, str(picture), here(third), "--out", f"{run_id}.csv"])
    COMMANDS["export"]([whole, here(third), "--format", "keras", "--out", "exported"])
    assert list((third / "exported").iterdir())
    mlflow.set_tracking_uri(f"sqlite:///{third}/mlruns/mlflow.db")
    served = mlflow.pyfunc.load_model(f"runs:/{found['2']}/model")
    (answer,) = served.predict(pd.DataFrame({"image": [picture.read_bytes()]}))
    assert answer["predicted"]
    for run_id in (*found.values(), whole):
        info = store(third).get_run(run_id).info
        assert info.status == "FINISHED" and info.artifact_uri.startswith(third.as_uri())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "elsewhere"]

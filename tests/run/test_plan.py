"""The plan is shown before TensorFlow is imported, and a dry run ends without it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import experiment, overrides

from melanoma_exp.models.cnn import Cnn
from melanoma_exp.run import runner
from melanoma_exp.training import process

ROOT = Path(__file__).parents[2]
CLI = """
import sys

sys.modules.update(dict.fromkeys(("tensorflow", "keras", "mlflow", "matplotlib"), None))
from melanoma_exp.__main__ import run

run()
"""


class Deeper(Cnn):
    """An extension's, which counts as its base does and builds something else."""

    def build(self, image_shape, num_classes):
        import keras

        base = super().build(image_shape, num_classes)
        return keras.Model(base.input, keras.layers.Dense(num_classes)(base.output))


def planned(asked, place: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert runner.run(asked, place / "job", {}) is None
    return capsys.readouterr().out


def test_a_dry_run_needs_no_tensorflow_and_says_the_same(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    words = overrides(images, tmp_path, "dry_run=true", f"hydra.run.dir={tmp_path}/hydra")
    done = subprocess.run(
        [sys.executable, "-c", CLI, *words],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "80"},
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    asked = experiment(images, tmp_path, "dry_run=true")
    monkeypatch.setenv("COLUMNS", "80")
    early = planned(asked, tmp_path, capsys)
    assert early.split() == done.stdout.split() and "parameters, float32" in early
    monkeypatch.setattr(Cnn, "size", lambda *_: None)
    assert planned(asked, tmp_path, capsys) == early


def test_a_network_that_counts_as_its_base_is_built_and_counted(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = experiment(images, tmp_path, "dry_run=true")
    said = planned(asked, tmp_path, capsys)
    deeper = Deeper.model_construct(**dict(asked.model))
    more = planned(asked.model_copy(update={"model": deeper}), tmp_path, capsys)

    def parameters(text: str) -> int:
        return int(text.split(" parameters")[0].split()[-1].replace(",", ""))

    assert parameters(more) == parameters(said) + 3 * 3 + 3


def test_the_plan_comes_before_what_takes_seconds(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(process, "import_tensorflow", stop)
    with pytest.raises(KeyboardInterrupt):
        runner.run(experiment(images, tmp_path), tmp_path / "job", {})
    assert "parameters, float32" in capsys.readouterr().out

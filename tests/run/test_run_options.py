"""What an option changes about a run: the published order, a dry run, no tracking."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from small_run import CHILDREN, experiment, runs

from melanoma_exp.run import recorder, runner


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
    card = Path(run.info.artifact_uri.removeprefix("file://"), "model_card.md").read_text()
    assert card.split("## Limits")[1].strip().startswith("- LEAKY")
    assert re.search(r"leak/val_rows_with_train_source: 0\.[2-9]", card)


def test_the_counts_before_balancing_are_those_of_the_split(images: Path, tmp_path: Path) -> None:
    small = runner.prepare_data(experiment(images, tmp_path, "balance=undersample", "balance.to=3"))
    assert small.parts.train.counts().tolist() == [3, 3, 3]
    split = runner.prepare_data(experiment(images, tmp_path))
    assert small.unbalanced.counts().tolist() == split.parts.train.counts().tolist()
    assert small.unbalanced.counts().min() > 3


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
    assert not (tmp_path / "artifacts/figures").exists()  # none were asked for
    assert json.loads((tmp_path / "tags.json").read_text())["status"] == "FINISHED"
    assert not (tmp_path / "mlruns").exists()


def test_what_is_judged_explained_and_kept_is_the_network_as_keras_has_it(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training swaps layers; with them the last convolution would be explained before its ReLU."""
    given: list[Any] = []
    real = recorder.Recorder.finish

    def finish(self: recorder.Recorder, model: Any, history: Any) -> dict[str, dict[str, float]]:
        given.append(model)
        return real(self, model, history)

    monkeypatch.setattr(recorder.Recorder, "finish", finish)
    runner.run(experiment(images, tmp_path, "train.epochs=1"), tmp_path, {})
    (model,) = given
    assert {type(layer).__module__.split(".")[0] for layer in model.layers} == {"keras"}
    convolutions = [layer for layer in model.layers if hasattr(layer, "kernel_size")]
    assert [layer.activation.__name__ for layer in convolutions] == ["relu", "relu"]
    assert getattr(model, "optimizer", None) is None

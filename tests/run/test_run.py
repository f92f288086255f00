"""A whole run on real files with a real MLflow store: what it leaves behind."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from small_run import CHILDREN, JUDGED, experiment, runs, store
from stopped_run import same_weights

from melanoma_exp import config
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.run import runner

SCORES = {
    "accuracy",
    "balanced_accuracy",
    "macro_f1",
    "macro_auc",
    "melanoma_sensitivity",
    "melanoma_specificity",
    "melanoma_alert_sensitivity",
    "melanoma_auc",
    "malignant_auc",
    "kappa",
    "top2_accuracy",
    "brier",
    "log_loss",
    "ece",
    "ece_calibrated",
    "accuracy_low",
    "accuracy_high",
    "melanoma_partial_auc",
    "melanoma_number_needed_to_biopsy",
}


def test_a_run_leaves_everything_a_researcher_expects(finished: Any) -> None:
    _, run, artifacts = finished
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "m3-augmentor-folder-holdout-s1"
    found = {p.relative_to(artifacts).as_posix() for p in artifacts.rglob("*") if p.is_file()}
    assert found >= {
        "experiment.json",
        "split.csv",
        "model_summary.txt",
        "model.weights.h5",
        "predictions_val.csv",
        "predictions_test.csv",
        "classes_val.csv",
        "classes_test.csv",
        "audit.csv",
        "audit.html",
        "evaluation_val.json",
        "evaluation_test.json",
        "subgroups_val.csv",
        "subgroups_test.csv",
        "decision.json",
        "model.json",
        "model_card.md",
    }
    figures = {
        "examples",
        "augmentation",
        "class_counts",
        "curves",
        "confusion_val",
        "confusion_test",
        "mistakes_val",
        "mistakes_test",
        "classes_val",
        "classes_test",
        "alerts_val",
        "alerts_test",
        "calibration_test",
        "decision_curve_test",
        "explanations_test",
    }
    assert {f"figures/{name}.png" for name in figures} <= found
    assert {f"final/{part}/{name}" for part in ("val", "test") for name in SCORES} <= set(
        run.data.metrics
    )
    assert {
        "git_commit",
        "git_dirty",
        "dataset_digest",
        "split_digest",
        "plan_digest",
        "config_digest",
        "leaky",
        "version.tensorflow",
        "machine.cpu",
        "machine.onednn",
    } <= set(run.data.tags)
    assert run.data.params["model.filters"] == "[[4], [8]]"
    (data,) = run.inputs.dataset_inputs
    assert data.dataset.digest == run.data.tags["dataset_digest"]


def test_params_are_the_complete_config_and_what_it_did_to_the_data(finished: Any) -> None:
    _, run, artifacts = finished
    logged = config.parse_json((artifacts / "experiment.json").read_text())
    touched = {
        "data.images_without_official_label": "0",
        "data.copies_left_out": "0",
        "data.images_with_two_labels": "0",
        "data.conflicts_left_out": "0",
    }
    flat = {key: str(value) for key, value in logged.flat().items()}
    assert run.data.params == {**flat, **touched}


def test_each_curve_is_one_series_by_epoch(finished: Any) -> None:
    place, run, _ = finished
    for name in (
        "train/loss",
        "val/loss",
        "train/accuracy",
        "val/accuracy",
        "learning_rate",
        "seconds",
        "images_per_second",
    ):
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


def test_the_decision_gives_the_recorded_alerts_from_the_kept_weights(
    images: Path, finished: Any
) -> None:
    """What predicts later has weights and decision alone: it must alert the same images."""
    place, run, artifacts = finished
    decision = Decision.from_json((artifacts / "decision.json").read_text())
    assert (decision.name, decision.positive) == ("melanoma", ("melanoma",))
    assert decision.validation.sensitivity >= 0.95
    again = experiment(images, place, *CHILDREN, *JUDGED)
    model = again.model.build((16, 16, 3), 3)
    model.load_weights(artifacts / "model.weights.h5")
    reader = runner.prepare_data(again)
    for part, samples in (("val", reader.parts.val), ("test", reader.parts.test)):
        chance = decision.probability(
            model.predict(reader.reader.read(samples), verbose=0), samples.classes
        )
        alerted, positive = decision.alerts(chance), samples.label == 0
        told = json.loads((artifacts / f"evaluation_{part}.json").read_text())
        counts = [
            (a & b).sum()
            for a, b in (
                (alerted, positive),
                (~alerted, positive),
                (alerted, ~positive),
                (~alerted, ~positive),
            )
        ]
        assert told["alerts"]["melanoma"]["confusion"] == dict(
            zip(("tp", "fn", "fp", "tn"), counts, strict=True)
        )
        sensitivity = run.data.metrics[f"final/{part}/melanoma_alert_sensitivity"]
        assert sensitivity == pytest.approx(alerted[positive].mean())
    assert run.data.metrics["final/temperature"] == decision.temperature


def test_what_cannot_be_assessed_is_named(finished: Any) -> None:
    rows = list(csv.DictReader((finished[2] / "subgroups_test.csv").open()))
    assert {r["attribute"]: r["note"].split(":")[0] for r in rows} == dict.fromkeys(
        ("age", "sex", "site", "skin tone"), "not assessable"
    )


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

    place, run, artifacts = finished
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlruns/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    rows = list(csv.DictReader((artifacts / "predictions_val.csv").open()))
    contents = pd.DataFrame({"image": [(images / r["source"]).read_bytes() for r in rows]})
    answers = model.predict(contents)
    assert [answer["predicted"] for answer in answers] == [row["predicted"] for row in rows]


def test_a_rerun_ends_with_identical_figures_and_weights(
    finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, run, artifacts = finished
    monkeypatch.chdir(place)
    COMMANDS["rerun"](
        [run.info.run_id, f"tracking.folder={place / 'mlruns'}", f"cache.dir={place / 'cache'}"]
    )
    again = next(r for r in runs(place) if r.info.run_id != run.info.run_id)
    assert again.data.tags["rerun_of"] == run.info.run_id
    for name, value in run.data.metrics.items():
        if name.startswith(("final/", "train/", "val/", "leak/")):
            assert again.data.metrics[name] == value, name
    folders = artifacts, Path(again.info.artifact_uri.removeprefix("file://"))
    assert same_weights(*(folder / "model.weights.h5" for folder in folders))

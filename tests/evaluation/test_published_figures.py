"""Whoever computes a figure from the published predictions gets the figure that was logged."""

import csv
import json
from pathlib import Path
from typing import Any

import isic_scores
import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from melanoma_exp.comparison import predictions
from melanoma_exp.evaluation.metrics import part_metrics, summary, threshold
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.metrics.interval import Bootstrap

OFFICIAL = json.loads(Path(isic_scores.__file__).with_suffix(".json").read_text())


@pytest.mark.parametrize("seed", isic_scores.SEEDS)
def test_figures_are_those_of_the_official_scorer(option: Any, seed: int) -> None:
    spec = option("evaluation", "default", resamples=100)
    logits, truth = isic_scores.case(seed)
    draws = Bootstrap(np.array([f"g{k}" for k in range(400)]), 100, 1, 0.95)
    names, alerts = isic_scores.CLASSES, {"melanoma": ("MEL",)}
    decisions = threshold.decide(logits, truth, names, alerts, spec.threshold, draws)
    assert decisions[0].temperature > 2
    found = part_metrics.compute(logits, truth, names, [{}] * 400, decisions, spec, draws)
    flat, official = summary.flat(found), OFFICIAL[str(seed)]
    ours = {
        "balanced_accuracy": flat["balanced_accuracy"],
        "macro_auc": flat["macro_auc"],
        "macro_ap": found.table.average_precision.value.mean(),
        "melanoma_auc": flat["melanoma_auc"],
        "melanoma_ap": flat["melanoma_average_precision"],
    }
    assert ours == pytest.approx(official, abs=1e-12)
    # The case can tell: by the calibrated probability the area is another.
    assert abs(flat["melanoma_auc_calibrated"] - official["melanoma_auc"]) > 1e-3


@pytest.mark.parametrize("part", ["val", "test"])
def test_the_table_of_predictions_gives_the_logged_figures(finished: Any, part: str) -> None:
    _, run, artifacts = finished
    rows = list(csv.DictReader((artifacts / f"predictions_{part}.csv").open()))
    decision = Decision.from_json((artifacts / "decision.json").read_text())
    logged = {
        key.removeprefix(f"final/{part}/"): value
        for key, value in run.data.metrics.items()
        if key.startswith(f"final/{part}/")
    }
    classes = ["melanoma", "naevus", "other"]
    label = np.array([classes.index(r["label"]) for r in rows])
    plain, calibrated = (
        np.array([[float(r[mark + c]) for c in classes] for r in rows])
        for mark in ("", "calibrated ")
    )
    areas = [roc_auc_score(label == k, plain[:, k]) for k in range(3)]
    by_table = {
        "melanoma_auc": areas[0],
        "melanoma_auc_calibrated": roc_auc_score(label == 0, calibrated[:, 0]),
        "melanoma_average_precision": average_precision_score(label == 0, plain[:, 0]),
        "macro_auc": np.mean(areas),
        "balanced_accuracy": balanced_accuracy_score(label, plain.argmax(axis=1)),
        "log_loss": -np.log(plain[np.arange(len(label)), label]).mean(),
        "log_loss_calibrated": -np.log(calibrated[np.arange(len(label)), label]).mean(),
        "melanoma_alerted": np.mean([r["alert"] == "true" for r in rows]),
        "melanoma_unsure": np.mean([r["unsure"] == "true" for r in rows]),
    }
    assert {key: logged[key] for key in by_table} == pytest.approx(by_table, abs=1e-12)
    chance = np.array([float(r["alert_probability"]) for r in rows])
    np.testing.assert_array_equal(chance, np.minimum(calibrated[:, 0], 1))
    np.testing.assert_array_equal(
        decision.alerts(chance), np.array([r["alert"] for r in rows]) == "true"
    )


def test_columns_of_the_metadata_are_not_taken_for_probabilities() -> None:
    text = (
        "id,source,group,label,predicted,group,mel,calibrated group,calibrated mel,mel\n"
        "a,a,g,mel,group,0.75,0.25,0.6,0.4,1\n"
    )
    found = predictions.parse(text, ("group", "mel"))
    assert found.group.tolist() == ["g"] and found.probability.tolist() == [[0.75, 0.25]]
    with pytest.raises(ValueError, match="do not begin with id, source, group"):
        predictions.parse(text, ("mel", "group"))

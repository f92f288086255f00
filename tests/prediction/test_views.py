"""A run with views trains as one without, and is evaluated, predicted and described with them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import CHILDREN, experiment, runs
from stopped_run import same_weights

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.comparison.predictions import parse
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.prediction import saved_model
from melanoma_exp.prediction.predict import predict
from melanoma_exp.run import runner

CORRECTED = "inference.prior_correction=0.5"


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def viewed(images: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    place = tmp_path_factory.mktemp("viewed")
    runner.run(experiment(images, place, *CHILDREN, "inference=dihedral", CORRECTED), place, {})
    (run,) = runs(place)
    return run, Path(run.info.artifact_uri.removeprefix("file://"))


def test_views_change_predictions_and_cost_but_not_the_weights(viewed: Any, finished: Any) -> None:
    (run, folder), (_, plain, plain_folder) = viewed, finished
    assert same_weights(folder / "model.weights.h5", plain_folder / "model.weights.h5")
    one, other = ((f / "predictions_val.csv").read_text() for f in (folder, plain_folder))
    assert one != other
    assert run.data.tags["config_digest"] != plain.data.tags["config_digest"]
    cost = "flops_per_image"
    assert run.data.metrics[cost] == 8 * plain.data.metrics[cost]
    assert "mean probability of 8 views" in (folder / "model_card.md").read_text()
    assert "views" not in (plain_folder / "model_card.md").read_text()


def test_predict_gives_what_the_run_recorded(
    viewed: Any, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = viewed[1]
    saved = saved_model.load("viewed", {name: folder / name for name in saved_model.FILES})
    monkeypatch.setattr(saved_model, "VIEWS", 24)  # three images at once, and a rest
    with (folder / "predictions_val.csv").open(newline="") as file:
        recorded = list(csv.DictReader(file))
    decoded = np.stack([saved.decode(images / row["source"]) for row in recorded])
    expected = [[float(row[name]) for name in saved.classes] for row in recorded]
    np.testing.assert_allclose(softmax(saved.logits(decoded)), expected, atol=1e-6)


def test_predicted_classes_are_those_of_the_record_the_tables_and_compare(
    viewed: Any, images: Path
) -> None:
    run, folder = viewed
    text = (folder / "predictions_val.csv").read_text()
    recorded = list(csv.DictReader(text.splitlines()))
    saved = saved_model.load("viewed", {name: folder / name for name in saved_model.FILES})
    paths = [images / row["source"] for row in recorded]
    found, _ = predict(saved, paths)
    assert [p.predicted for p in found] == [row["predicted"] for row in recorded]
    right = np.mean([row["label"] == row["predicted"] for row in recorded])
    assert run.data.metrics["final/val/accuracy"] == pytest.approx(right)
    assert run.data.metrics["final/prior_tau"] == 0.5
    correction = saved.decision.prior_correction
    assert correction is not None and sum(correction.shares.values()) == pytest.approx(1)
    read = parse(text, saved.classes)
    names = {row["id"]: row["predicted"] for row in recorded}
    assert [saved.classes[k] for k in read.predicted] == [names[str(i)] for i in read.ids]
    assert "tau 0.5" in (folder / "model_card.md").read_text()


def test_maps_of_a_worklist_explain_the_trained_network(
    viewed: Any, images: Path, tmp_path: Path
) -> None:
    run, folder = viewed
    place = folder.parents[2]
    page = tmp_path / "page.html"
    picture = images / "melanoma" / "melanoma0.png"
    words = [run.info.run_id, str(picture), f"tracking.folder={place}", "--html", str(page)]
    COMMANDS["predict"](words)
    assert page.read_text().count("<img") == 2  # the picture and its map


def test_a_record_without_the_group_predicts_from_the_image_alone(finished: Any) -> None:
    from melanoma_exp.config import parse_json

    content = json.loads((finished[2] / "experiment.json").read_text())
    today = parse_json(json.dumps(content))
    del content["inference"]
    before = parse_json(json.dumps({**content, "schema_version": 1}))
    assert before == today and before.digest == today.digest
    assert before.inference.views == "none" and before.inference.scales == (1.0,)

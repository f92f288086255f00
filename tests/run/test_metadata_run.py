"""Runs whose network reads metadata: repeated, resumed, predicted with, exported and described."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from people import people
from small_run import experiment, overrides, runs
from stopped_run import interrupted, run_command, same_weights

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.data.metadata import read
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.prediction import given_metadata, saved_model
from melanoma_exp.prediction.predict import predict
from melanoma_exp.run import runner, training
from melanoma_exp.spec import UserError
from melanoma_exp.training.signals import Signals

INPUTS = "dataset.inputs={numeric:[age],categorical:[sex,site],dropout:0.2,units:4}"
WITH = ("dataset.csv=metadata.csv", INPUTS, "train.learning_rate=0.01")
EXPLAINED = ("evaluation.explained=4", "inference=flips")


@pytest.fixture(scope="module")
def known(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small pictures with a metadata CSV beside them; some cells are unknown."""
    root = tmp_path_factory.mktemp("known")
    for folder in images.iterdir():
        (root / folder.name).symlink_to(folder)
    names = sorted(path.stem for path in images.rglob("*.png"))
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image_id", "age", "sex", "site"])
        for k, (name, row) in enumerate(zip(names, people(len(names)), strict=True)):
            writer.writerow([name, "" if k % 9 == 0 else row["age"], row["sex"], row["site"]])
    return root


@pytest.fixture(scope="module")
def told(known: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Path]:
    """A finished run with metadata: its place, the MLflow run and its artifacts."""
    place = tmp_path_factory.mktemp("told")
    runner.run(experiment(known, place, *WITH, *EXPLAINED), place, {})
    (run,) = runs(place)
    return place, run, Path(run.info.artifact_uri.removeprefix("file://"))


def stored(folder: Path) -> dict[str, Path]:
    return {name: folder / name for name in saved_model.FILES}


def loaded(folder: Path) -> saved_model.SavedModel:
    return saved_model.load("told", stored(folder))


def recorded(folder: Path) -> dict[str, list[float]]:
    classes = json.loads((folder / "model.json").read_text())["classes"]
    rows = csv.DictReader((folder / "predictions_val.csv").open())
    return {row["source"]: [float(row[name]) for name in classes] for row in rows}


def test_predictions_are_those_that_the_run_recorded(told: Any, known: Path) -> None:
    saved, expected = loaded(told[2]), recorded(told[2])
    files = [known / source for source in expected]
    rows = given_metadata.read(known / "metadata.csv", stored(told[2]), files)
    images = np.stack([saved.decode(path) for path in files])
    found = softmax(saved.logits(images, saved.encode([rows.of(path) for path in files])))
    np.testing.assert_allclose(found, list(expected.values()), atol=1e-6)
    unknown = softmax(saved.logits(images))
    assert np.abs(unknown - found).max() > 1e-3
    ones, _ = predict(saved, files, metadata=rows.of)
    chances = saved.decision.class_probability(np.log(found))
    np.testing.assert_allclose([one.probabilities for one in ones], chances, atol=1e-5)


def test_a_run_says_what_it_reads(told: Any) -> None:
    _, run, folder = told
    card = (folder / "model_card.md").read_text()
    assert "second input: metadata, age, sex, site: 10 values through 4 units" in card
    assert "Only the image is used" not in card
    assert run.data.params["dataset.inputs.categorical"] == '["sex", "site"]'
    described = json.loads((folder / "model.json").read_text())["metadata"]
    assert described["categorical"][0] == {"column": "sex", "levels": ["female", "male"]}


def test_predict_asks_for_metadata_and_refuses_what_it_cannot_use(
    told: Any, finished: Any, known: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def words(finished: Any, *more: object) -> list[str]:
        place, run, _ = finished
        folder = f"tracking.folder={place / 'mlruns'}"
        return [run.info.run_id, str(known / "melanoma"), folder, *map(str, more)]

    COMMANDS["predict"](words(told, "--out", tmp_path / "a.csv"))
    assert "no --metadata: age, sex, site are unknown for every image" in capsys.readouterr().out
    table = known / "metadata.csv"
    more = ("--metadata", table, "--out", tmp_path / "b.csv", "--html", tmp_path / "b.html")
    COMMANDS["predict"](words(told, *more))
    printed = capsys.readouterr().out
    assert "metadata (age, sex, site): 14 of 14 images are in metadata.csv" in printed
    assert (tmp_path / "a.csv").read_text() != (tmp_path / "b.csv").read_text()
    with pytest.raises(UserError, match="was trained on images alone") as refused:
        COMMANDS["predict"](words(finished, "--metadata", table))
    assert len(refused.value.lines) == 1
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("image_id,age,sex,site\nmelanoma0,old,male,back\n")
    with pytest.raises(UserError, match="wrong.csv, line 2: age is 'old', expected a number"):
        COMMANDS["predict"](words(told, "--metadata", wrong))
    wrong.write_text("image_id,age,sex\nmelanoma0,50,male\n")
    with pytest.raises(UserError, match="lacks the column site"):
        COMMANDS["predict"](words(told, "--metadata", wrong))
    wrong.write_text("image_id,age,sex,site\nmelanoma0,50,male,moon\n")
    COMMANDS["predict"](words(told, "--metadata", wrong))
    assert "site: training had no moon (1): counted as unknown" in capsys.readouterr().out


def test_the_logged_model_takes_metadata_and_does_without(told: Any, known: Path) -> None:
    import mlflow
    import pandas as pd

    place, run, folder = told
    mlflow.set_tracking_uri(f"sqlite:///{place}/mlruns/mlflow.db")
    model = mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model")
    signature = {c.name: c.required for c in model.metadata.signature.inputs}
    assert signature == {"image": True, "age": False, "sex": False, "site": False}
    content = (known / "melanoma" / "melanoma0.png").read_bytes()
    saved, path = loaded(folder), known / "melanoma" / "melanoma0.png"
    row = {"age": "70", "sex": "Male", "site": "back"}
    ((with_all,), _), ((with_none,), _) = (
        predict(saved, [path], metadata=lambda path, row=row: row) for row in (row, {})
    )
    frame = pd.DataFrame(
        {
            "image": [content, content],
            "age": [70.0, float("nan")],
            "sex": ["Male", None],
            "site": ["back", None],
        }
    )
    records = model.predict(frame)
    alone = model.predict(frame[["image"]])
    for record, one in zip([*records, *alone], (with_all, *[with_none] * 3), strict=True):
        np.testing.assert_allclose(
            list(record["probabilities"].values()), one.probabilities, atol=1e-6
        )


@pytest.mark.slow
def test_every_export_takes_the_second_input_and_agrees(
    told: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    formats = [w for name in ("keras", "savedmodel", "onnx", "tflite") for w in ("--format", name)]
    words = [told[1].info.run_id, f"tracking.folder={told[0] / 'mlruns'}", "--out", str(tmp_path)]
    COMMANDS["export"]([*words, *formats])
    assert capsys.readouterr().out.count(": agrees: largest") == 4
    (described,) = tmp_path.glob("*-metadata.json")
    places = json.loads(described.read_text())
    assert places["size"] == 10 and places["columns"]["site"]["first"] == 5


def test_an_ensemble_and_another_set_refuse_it_in_one_line(told: Any) -> None:
    from melanoma_exp.run.ensemble import members
    from melanoma_exp.run.external.judge import Question, judge

    place, run, _ = told
    here = experiment(place, place)
    archive, run_id = here.tracking.archive(), run.info.run_id
    said = r"reads metadata \(age, sex, site\)"
    with pytest.raises(UserError, match=said) as refused:
        members.read(archive, [archive.run(run_id)], {})
    assert len(refused.value.lines) == 1
    with pytest.raises(UserError, match=said):
        judge(archive, run_id, here, Question({}), place)


@pytest.mark.slow
def test_it_is_repeated_and_resumed_bit_for_bit(
    known: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = (*WITH, "augment=mixup", "train.ema=0.9", "train.keep=best", "balance=sampling")
    h5 = []
    for place in (tmp_path / "one", tmp_path / "two"):
        runner.run(experiment(known, place, *more, f"cache.dir={tmp_path}/cache"), place, {})
    run_id = interrupted(known, tmp_path, monkeypatch, *more)
    run_command("resume", tmp_path, run_id)
    for place in (tmp_path / "one", tmp_path / "two", tmp_path):
        (run,) = runs(place)
        assert run.info.status == "FINISHED"
        h5.append(Path(run.info.artifact_uri.removeprefix("file://")) / "model.weights.h5")
    assert same_weights(h5[0], h5[1]) and same_weights(h5[0], h5[2])


@pytest.mark.slow
def test_it_is_not_resumed_on_other_metadata(
    known: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for folder in images.iterdir():
        (root / folder.name).symlink_to(folder)
    text = (known / "metadata.csv").read_text()
    (root / "metadata.csv").write_text(text)
    run_id = interrupted(root, tmp_path, monkeypatch, *WITH)
    rows = read(root / "metadata.csv", "image_id").rows
    name = next(name for name, row in rows.items() if row["age"])
    line = next(line for line in text.splitlines() if line.startswith(f"{name},"))
    (root / "metadata.csv").write_text(text.replace(line, line.replace(rows[name]["age"], "11")))
    with pytest.raises(UserError, match="dataset.inputs: images of the same names have other"):
        run_command("resume", tmp_path, run_id)


@pytest.mark.slow
def test_heads_on_features_read_metadata_too(known: Path, tmp_path: Path) -> None:
    more = ("augment=dihedral", "train.features={views: 2, seed: 7}")
    asked = experiment(known, tmp_path, *WITH, *more, "tracking=off")
    runner.run(asked, tmp_path, {})
    data = runner.prepare_data(asked)
    ready = training.build(asked, data, Signals(), None)
    assert ready.features is not None
    ready.features.open(None)
    ready.network.load_weights(tmp_path / "artifacts" / "model.weights.h5")
    inputs, _, _ = ready.val.batch(0, 0)
    shown = data.parts.val.take(np.arange(len(inputs[0])))
    assert data.metadata is not None
    whole = ready.network((data.reader.read(shown), data.metadata.read(shown.image)))
    np.testing.assert_allclose(ready.model(inputs), whole, atol=1e-5)


@pytest.mark.slow
def test_replicas_train_as_one_device_does(known: Path, tmp_path: Path) -> None:
    weights = []
    for kind, more in (("single", []), ("mirrored", ["distribution.virtual_cpus=true"])):
        place = tmp_path / kind
        chosen = (f"distribution={kind}", *more, "tracking=off")
        words = overrides(known, place, *WITH, *chosen)
        words += [f"hydra.run.dir={place}", "train.optimizer=sgd"]
        command = [sys.executable, "-m", "melanoma_exp", *words]
        subprocess.run(command, check=True, capture_output=True, env=dict(os.environ))
        saved = loaded(place / "artifacts")
        weights.append(np.concatenate([w.ravel() for w in saved.trained.get_weights()]))
    np.testing.assert_allclose(*weights, atol=1e-4)

"""Predictions of a finished run: equal to its record, sorted, never stopped by a bad file."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_run import experiment, store

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.evaluation import out_of_distribution_fit
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.prediction import saved_model, sources
from melanoma_exp.prediction.predict import Prediction, UnreadableFile, predict
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.spec import UserError


@pytest.fixture(scope="module")
def files(finished: Any) -> dict[str, Path]:
    """The files a prediction needs."""
    return {name: finished[2] / name for name in saved_model.FILES}


@pytest.fixture(scope="module")
def saved(files: dict[str, Path]) -> SavedModel:
    return saved_model.load("small", files)


@pytest.fixture(scope="module")
def recorded(finished: Any) -> list[dict[str, str]]:
    return list(csv.DictReader((finished[2] / "predictions_val.csv").open()))


def words(finished: Any, *more: object) -> list[str]:
    workdir, run, _ = finished
    return [run.info.run_id, f"tracking.folder={workdir / 'mlruns'}", *map(str, more)]


def test_pixels_are_those_of_training_and_probabilities_those_of_the_record(
    finished: Any, images: Path, saved: SavedModel, recorded: list[dict[str, str]]
) -> None:
    data = experiment(images, finished[0]).dataset.load(finished[0] / "cache")
    row = dict(zip(map(str, data.samples.source), data.samples.image, strict=True))
    decoded = np.stack([saved.decode(images / r["source"]) for r in recorded])
    trained = np.stack([data.pixels[row[r["source"]]] for r in recorded])
    assert decoded.dtype == np.uint8 and np.array_equal(decoded, trained)
    expected = [[float(r[c]) for c in saved.classes] for r in recorded]
    np.testing.assert_allclose(softmax(saved.logits(decoded)), expected, atol=1e-6)
    content = [saved.decode((images / r["source"]).read_bytes()) for r in recorded]
    assert np.array_equal(np.stack(content), decoded)


def test_probability_alert_and_doubt_follow_the_runs_decision(
    images: Path, saved: SavedModel, recorded: list[dict[str, str]]
) -> None:
    paths = [images / r["source"] for r in recorded]
    found, _ = predict(saved, paths)
    logits = saved.logits(np.stack([saved.decode(p) for p in paths]))
    heat = logits / saved.decision.temperature
    shares = np.exp(heat) / np.exp(heat).sum(axis=1, keepdims=True)
    assert saved.decision.threshold is not None and saved.decision.unsure is not None
    low, high = saved.decision.unsure
    for prediction, share in zip(found, shares, strict=True):
        assert prediction.probabilities == pytest.approx(share, abs=1e-6)
        assert prediction.alert_probability == pytest.approx(
            share[0], abs=1e-6
        )  # melanoma comes first
        assert prediction.alert == (prediction.alert_probability >= saved.decision.threshold)
        assert prediction.unsure == (low <= prediction.alert_probability <= high)
        assert prediction.predicted == saved.classes[share.argmax()]


def test_the_worklist_has_alerts_first_then_by_probability(saved: SavedModel) -> None:
    def one(name: str, chance: float | None, alert: bool | None) -> Prediction:
        return Prediction(Path(name), "naevus", (0.1, 0.8, 0.1), chance, alert, False, None)

    given = [one("a", 0.2, False), one("b", 0.6, True), one("c", 0.4, False), one("d", 0.9, True)]
    found = Worklist.of("id", saved, given, [])
    assert [str(p.path) for p in found.predictions] == ["d", "b", "c", "a"]
    without = Worklist.of("id", saved, [one("a", None, None), one("b", None, None)], [])
    assert [str(p.path) for p in without.predictions] == ["a", "b"]
    assert "a,,,,false,naevus" in without.to_csv().splitlines()[1]


def test_bad_files_are_listed_at_the_end_and_set_the_exit_code(
    finished: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mixed = tmp_path / "mixed" / "deep"
    mixed.mkdir(parents=True)
    for k in range(3):
        shutil.copy(images / "melanoma" / f"melanoma{k}.png", mixed / f"good{k}.PNG")
    whole = (images / "other" / "other0.png").read_bytes()
    bad = {"empty.png": b"", "text.jpg": b"no picture", "cut.png": whole[: len(whole) // 2]}
    for name, content in bad.items():
        (mixed / name).write_bytes(content)
    (mixed / "notes.txt").write_text("ignored")
    (tmp_path / "list.csv").write_text("path,who\nmixed/deep/good0.PNG,x\nnowhere.png,y\n")
    out, table = tmp_path / "out.json", tmp_path / "out.csv"
    paths = [tmp_path / "mixed", tmp_path / "list.csv"]
    for target in (out, table):
        with pytest.raises(SystemExit) as ended:
            COMMANDS["predict"](words(finished, *paths, "--out", target))
        assert ended.value.code == 3
    content = json.loads(out.read_text())
    assert len(content["images"]) == 3 and content["notice"] == DISCLAIMER
    assert {Path(u["path"]).name for u in content["unreadable"]} == {*bad, "nowhere.png"}
    rows = list(csv.DictReader(table.open()))
    assert [bool(row["error"]) for row in rows] == [False] * 3 + [True] * 4
    assert all(row["notice"] == DISCLAIMER for row in rows)
    for row, image in zip(rows, content["images"], strict=False):
        assert float(row["alert_probability"]) == pytest.approx(
            image["alert_probability"], abs=1e-8
        )
    printed = capsys.readouterr().out
    assert "4 unreadable" in printed and "the file is empty" in printed and DISCLAIMER in printed
    assert "ignored 1 files" in printed
    COMMANDS["predict"](words(finished, mixed / "good0.PNG"))  # all good: no exit code
    title = capsys.readouterr().out.partition("Worklist of 1 image, run ")[2]
    assert "\nbelow " in title and "\\n" not in title


def test_an_image_unlike_the_training_images_is_noted(
    images: Path, saved: SavedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 42 images are too few
    assert saved.out_of_distribution is None and saved.decision.out_of_distribution is None
    monkeypatch.setattr(out_of_distribution_fit, "SMALLEST", 5)
    known = np.stack([saved.decode(p) for p in sorted(images.glob("*/*.png"))])
    fitted = out_of_distribution_fit.fit(known[::2], known[1::2])
    telling = replace(saved, out_of_distribution=fitted)
    grey = tmp_path / "grey.png"
    Image.new("RGB", (24, 20), (128, 128, 128)).save(grey)
    found, _ = predict(telling, [images / "melanoma" / "melanoma1.png", grey])
    assert found[0].unusual == "" and "unlike the training images" in (found[1].unusual or "")
    assert "unusual image" in found[1].advice
    plain, _ = predict(saved, [grey])
    assert plain[0].unusual is None


def test_another_order_and_many_batches_change_nothing(
    images: Path, saved: SavedModel, tmp_path: Path
) -> None:
    (tmp_path / "bad.png").write_bytes(b"x")
    paths = sorted(images.glob("*/*.png")) * 8
    paths.insert(100, tmp_path / "bad.png")
    counts: list[int] = []
    found, unreadable = predict(saved, paths, counts.append)
    assert [p.path for p in found] == [p for p in paths if p.name != "bad.png"]
    assert unreadable == [UnreadableFile(tmp_path / "bad.png", "not a readable image")]
    assert counts == sorted(counts) and counts[-1] == len(paths)
    chances = np.array([p.alert_probability for p in found])
    np.testing.assert_allclose(chances[:42], chances[42:84], atol=1e-6)


def test_wrong_paths_and_targets_are_one_line_each(finished: Any, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("file,label\na.png,x\n")
    (tmp_path / "binary.csv").write_bytes(b"path\n\xff\xfe")
    (tmp_path / "empty").mkdir()
    cases = {
        r"list.csv: lacks the column path; it has file, label": [tmp_path / "list.csv"],
        r"binary.csv, line 2: is not in UTF-8": [tmp_path / "binary.csv"],
        r"^predict: found no image .* in .*empty": [tmp_path / "empty"],
        r"there is no file nosuch.jpg": ["nosuch.jpg"],
        r"^--out worklist.xls: expected": ["x.png", "--out", "worklist.xls"],
        r"there is no folder nowhere": ["x.png", "--html", "nowhere/page.html"],
        r"takes tracking, cache and extend overrides only": [*sources.SUFFIXES, "seed=2", __file__],
    }
    for message, arguments in cases.items():
        with pytest.raises(UserError, match=message) as raised:
            COMMANDS["predict"](words(finished, *arguments))
        assert len(raised.value.lines) == 1


def test_unknown_unfinished_and_emptied_runs_are_one_line_each(finished: Any, images: Path) -> None:
    workdir, run, _ = finished
    client, image = store(workdir), images / "naevus" / "naevus0.png"
    tracking = f"tracking.folder={workdir / 'mlruns'}"
    with pytest.raises(UserError, match="has no run 0000"):
        COMMANDS["predict"](["0" * 32, str(image), tracking])
    other = client.create_run(run.info.experiment_id).info.run_id
    try:
        for verb, more in (("predict", [str(image)]), ("export", ["--format", "keras"])):
            with pytest.raises(UserError, match="is RUNNING, not FINISHED"):
                COMMANDS[verb]([other, *more, tracking])
        client.set_terminated(other, "FINISHED")
        with pytest.raises(UserError, match=f"run {other} has no artifact experiment.json"):
            COMMANDS["predict"]([other, str(image), tracking])
    finally:
        client.delete_run(other)


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.weights.h5", lambda b: b[:-100], "is not the file this run wrote"),
        (
            "model.weights.h5",
            lambda b: b[:-1] + bytes([b[-1] ^ 1]),
            "is not the file this run wrote",
        ),
        ("model.json", lambda b: b"{", "model.json: is damaged"),
        ("experiment.json", lambda b: b[:50], "is not the file this run wrote"),
        ("decision.json", lambda b: b + b" ", "is not the file this run wrote"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(
    files: dict[str, Path], tmp_path: Path, name: str, damage: Any, message: str
) -> None:
    (tmp_path / name).write_bytes(damage(files[name].read_bytes()))
    with pytest.raises(UserError, match=message) as raised:
        saved_model.load("small", {**files, name: tmp_path / name})
    assert len(raised.value.lines) == 1 and "\n" not in raised.value.lines[0]


@pytest.mark.parametrize("content", [b"no HDF5", None])
def test_a_file_without_weights_is_refused_even_with_their_checksum(
    files: dict[str, Path], tmp_path: Path, content: bytes | None
) -> None:
    from melanoma_exp.prediction.manifest import Manifest

    weights = tmp_path / "model.weights.h5"
    whole = files["model.weights.h5"].read_bytes()
    weights.write_bytes(whole[: len(whole) // 2] if content is None else content)
    known = Manifest.read(files["model.json"]).classes
    described = Manifest.of(known, {**files, "model.weights.h5": weights})
    (tmp_path / "model.json").write_text(described.to_json())
    changed = {"model.weights.h5": weights, "model.json": tmp_path / "model.json"}
    with pytest.raises(UserError, match="does not hold the weights of") as raised:
        saved_model.load("small", {**files, **changed})
    assert len(raised.value.lines) == 1

"""An ensemble is a run like any other, and no member scores an image that it trained on."""

import csv
import json
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from ensembles import Made
from PIL import Image
from small_run import store

from melanoma_exp.cli.commands.export import NAMES
from melanoma_exp.config import parse_json
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.models.inference import Inference
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError

FOLDS = (
    "split=kfold",
    "split.folds=2",
    "split.test=0.2",
    "train.epochs=1",
    "train.precision=float32",
)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = tmp_path_factory.mktemp("ensemble")
    folds = [(*FOLDS, f"split.fold={fold}") for fold in range(2)]
    return Made(images, place, folds, "--name", "both")


def test_its_logits_are_the_log_of_the_members_mean_probability(made: Made) -> None:
    names = [str(p.relative_to(made.images)) for p in sorted(made.images.rglob("*.png"))]
    pixels, ensemble = made.pixels(names), made.saved(made.id)
    each = np.stack(
        [softmax(made.saved(m).logits(pixels).astype(np.float64)) for m in made.members]
    )
    logits = ensemble.logits(pixels)
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, np.log(each.mean(axis=0)), atol=2e-6)
    assert ensemble.network.count_params() == sum(
        made.saved(m).network.count_params() for m in made.members
    )


def test_every_image_is_scored_by_just_the_members_that_did_not_see_it(made: Made) -> None:
    splits = [made.table(m, "split.csv") for m in made.members]
    train = [{r["source"] for r in rows if r["part"] == "train"} for rows in splits]
    groups = [{r["group"] for r in rows if r["part"] == "train"} for rows in splits]
    val = {r["source"] for rows in splits for r in rows if r["part"] == "val"}
    test = {r["source"] for r in splits[0] if r["part"] == "test"}
    scoring = made.table(made.id, "scoring.csv")
    assert {r["id"] for r in scoring if r["part"] == "val"} == val
    assert {r["id"] for r in scoring if r["part"] == "test"} == test and test
    for row in scoring:
        scorers = [int(k) - 1 for k in row["scored_by"].split()]
        unseen = [
            k for k in range(2) if row["id"] not in train[k] and row["group"] not in groups[k]
        ]
        assert scorers == unseen and len(scorers) == {"val": 1, "test": 2}[row["part"]]
    assert made.run.data.tags["leaky"] == "false"
    assert made.run.data.metrics["leak/val_rows_with_train_source"] == 0


@pytest.mark.parametrize("part", ["val", "test"])
def test_its_recorded_predictions_are_of_those_members(made: Made, part: str) -> None:
    scorers = {
        r["id"]: [int(k) - 1 for k in r["scored_by"].split()]
        for r in made.table(made.id, "scoring.csv")
    }
    rows = made.table(made.id, f"predictions_{part}.csv")
    pixels, classes = made.pixels([r["id"] for r in rows]), made.saved(made.id).classes
    each = [softmax(made.saved(m).logits(pixels).astype(np.float64)) for m in made.members]
    for k, row in enumerate(rows):
        mean = np.mean([each[m][k] for m in scorers[row["id"]]], axis=0)
        np.testing.assert_allclose([float(row[c]) for c in classes], mean, atol=2e-6)
        assert int(row["members"]) == len(scorers[row["id"]])


def test_members_are_measured_with_other_views_without_training(made: Made) -> None:
    views = Inference(views="flips", scales=(1.0, 1.5), prior_correction="none")
    known = [run.info.run_id for run in made.others()]
    made.call("ensemble", *made.members, "inference=flips", "inference.scales=[1.0,1.5]")
    (turned,) = made.others(*known)
    made.call("rerun", turned.info.run_id)
    (again,) = made.others(*known, turned.info.run_id)
    setups = [run.data.params["model.members"] for run in (made.run, turned, again)]
    assert setups[0] != setups[1] == setups[2]
    rows = made.table(turned.info.run_id, "predictions_val.csv")
    assert rows == made.table(again.info.run_id, "predictions_val.csv")
    scored_by = {r["id"]: r["scored_by"] for r in made.table(made.id, "scoring.csv")}
    pixels = made.pixels([row["id"] for row in rows])
    each = [softmax(np.array(views.wrap(made.saved(m).trained)(pixels))) for m in made.members]
    classes = made.saved(made.id).classes
    for k, row in enumerate(rows):
        expected = each[int(scored_by[row["id"]]) - 1][k]
        np.testing.assert_allclose([float(row[c]) for c in classes], expected, atol=2e-6)
    with pytest.raises(UserError, match="recorded no class shares"):
        made.call("ensemble", *made.members, "inference.prior_correction=0.5")


def test_its_record_is_complete_and_read_by_the_same_code(made: Made) -> None:
    text = (made.folder(made.id) / "experiment.json").read_text()
    again = parse_json(text)
    assert parse_json(again.to_json()) == again
    assert [m.run_id for m in again.model.members] == made.members  # type: ignore[union-attr]
    assert made.run.data.tags["ensemble_of"].split() == made.members
    assert made.run.data.params["split.kind"] == "members"
    assert "split.fold" not in made.run.data.params
    card = (made.folder(made.id) / "model_card.md").read_text()
    assert all(m in card for m in made.members) and "out of fold" in card
    assert "None" not in card and "One training of one seed" not in card
    content = json.loads((made.folder(made.id) / "decision.json").read_text())
    assert content["validation"]["images"] == len(made.table(made.id, "predictions_val.csv"))


def test_it_predicts_and_is_served_like_any_run(made: Made, tmp_path: Path) -> None:
    import mlflow
    import pandas as pd

    made.call(
        "predict",
        made.id,
        made.images,
        "--out",
        tmp_path / "list.csv",
        "--html",
        tmp_path / "list.html",
    )
    with (tmp_path / "list.csv").open(newline="") as file:
        predicted = {Path(r["path"]).name: r for r in csv.DictReader(file)}
    assert len(predicted) == 42
    mlflow.set_tracking_uri(f"sqlite:///{made.place}/mlruns/mlflow.db")
    served = mlflow.pyfunc.load_model(f"runs:/{made.id}/model")
    paths = sorted(made.images.rglob("*.png"))[:5]
    answers = served.predict(pd.DataFrame({"image": [path.read_bytes() for path in paths]}))
    for path, answer in zip(paths, answers, strict=True):
        chance = float(predicted[path.name]["alert_probability"])
        assert answer["probabilities"]["melanoma"] == pytest.approx(chance, abs=1e-6)


def test_it_is_paired_with_its_members_on_the_same_images(
    made: Made, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made.call("compare", "--sweep", "parts", made.id, "--out", tmp_path, "--images", 0)
    table = list(csv.DictReader((tmp_path / "comparison.csv").open()))
    assert sorted(row["runs"] for row in table) == ["1", "2"]
    printed = capsys.readouterr().out
    assert "not tested" not in printed
    page = (tmp_path / "comparison.html").read_text()
    assert "both" in page and "not tested" not in page


def test_every_export_agrees(made: Made, tmp_path: Path) -> None:
    for package in ("onnxruntime", "tf2onnx"):
        if find_spec(package) is None:
            pytest.skip(f"needs the extra `export` ({package} is not installed)")
    made.call("export", made.id, *(w for n in NAMES for w in ("--format", n)), "--out", tmp_path)
    assert len(list(tmp_path.iterdir())) == len(NAMES)


def test_members_that_do_not_fit_are_one_line_each(made: Made) -> None:
    first, second = made.members[:2]
    client = store(made.place)

    def line(*words: object) -> str:
        with pytest.raises(UserError) as error:
            made.call("ensemble", *words)
        (found,) = error.value.lines
        return str(found)

    assert "named twice" in line(first, first)
    assert "two finished runs or more (got 1)" in line(first)
    assert "runs or a --sweep" in line(first, second, "--sweep", "parts")
    assert "is an ensemble itself" in line(first, made.id)
    for tag, value, said in (("leaky", "true", "is leaky"), ("dataset_digest", "x", "other data")):
        before = client.get_run(second).data.tags[tag]
        client.set_tag(second, tag, value)
        assert said in line(first, second)
        client.set_tag(second, tag, before)
    client.delete_run(second)
    assert "deleted" in line(first, second)
    client.restore_run(second)


def in_pillow(images: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resizes images uint8 (n, h, w, 3) to a width and a height."""
    filter_ = Image.Resampling.BILINEAR
    return np.stack([np.asarray(Image.fromarray(one).resize(size, filter_)) for one in images])


MIXED = (
    ("model=m3", "model.filters=[[4],[8]]", "model.dense=[8]", "inference=dihedral", "seed=1"),
    ("model=m3", "model.filters=[[4],[8]]", "model.dense=[8]", "augment=dihedral", "seed=2"),
    (
        "inference.prior_correction=0.5",
        "model=m1",
        "model.filters=[[4],[4]]",
        "model.dense=[]",
        "train.precision=bfloat16",
        "dataset.image_size=[10,12]",
    ),
)


def test_other_networks_views_and_precisions_are_explained_repeated_and_exported(
    images: Path, tmp_path: Path
) -> None:
    options = "evaluation.figures=true", "evaluation.explained=4", "train.precision=float32"
    made = Made(images, tmp_path, [(*options, *words) for words in MIXED])
    first, members = made.run, made.members
    assert first.data.params["train.precision"] == "float32"
    assert "augment.kind" not in first.data.params  # the members' differ
    decision = json.loads((made.folder(made.id) / "decision.json").read_text())
    assert "on validation" in decision["prior_correction"]["rule"]  # one member corrects by 0.5
    figures = made.folder(made.id) / "figures"
    assert list(figures.glob("explanations_*.png")) and not (figures / "curves.png").exists()
    each = [store(tmp_path).get_run(m).data.metrics["flops_per_image"] for m in members]
    resize = 2 * 3 * (16 * 16 * 12 + 16 * 12 * 10)  # columns, then rows, of three channels
    assert first.data.metrics["flops_per_image"] == sum(each) + resize
    names = [row["id"] for row in made.table(made.id, "predictions_val.csv")]
    pixels, saved = made.pixels(names), made.saved(made.id)
    sizes = [None, None, (12, 10)]  # width before height
    shown = [pixels if size is None else in_pillow(pixels, size) for size in sizes]
    logits = [
        made.saved(m, "float32").logits(seen).astype(np.float64)
        for m, seen in zip(members, shown, strict=True)
    ]
    mean = np.log(np.mean([softmax(one) for one in logits], axis=0))
    # Pillow's resized pixels differ from the network's by a grey level here and there.
    np.testing.assert_allclose(saved.logits(pixels), mean, atol=5e-3)
    made.call("rerun", made.id)
    (again,) = made.others(*members, made.id)
    assert again.data.tags["rerun_of"] == made.id
    for name in ("predictions_val.csv", "decision.json", "experiment.json"):
        before, after = (made.folder(i) / name for i in (made.id, again.info.run_id))
        assert before.read_bytes() == after.read_bytes()
    made.call("predict", made.id, images, "--html", tmp_path / "page.html")
    with pytest.raises(UserError, match="is made of finished runs and not trained"):
        runner.run(saved.experiment, tmp_path / "trained", {})
    if find_spec("tf2onnx"):
        formats = (word for name in NAMES for word in ("--format", name))
        made.call("export", made.id, *formats, "--out", tmp_path / "out")
        assert len(list((tmp_path / "out").iterdir())) == len(NAMES)

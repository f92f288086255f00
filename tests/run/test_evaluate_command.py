"""A finished run judged on another set: its own decision, the same figures, nothing it has seen."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score
from small_run import experiment, runs

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.evaluation.metrics.decision import Decision, softmax
from melanoma_exp.prediction import saved_model
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError

RENAMED = {"melanoma": "MELANOMA", "naevus": "nevus", "other": "rest"}  # in the same order
MAP = "nevus=naevus,rest=other"
pytestmark = pytest.mark.slow


class Place:
    """A finished run and the evaluations of it."""

    def __init__(self, images: Path, place: Path) -> None:
        self.images, self.place = images, place
        words = ("split.test=0.3", "inference=flips", "inference.prior_correction=0.5")
        drawn = ("evaluation.figures=true", "evaluation.explained=2", "train.precision=float32")
        runner.run(experiment(images, place, *words, *drawn), place, {})
        (self.trained,) = runs(place)
        self.id = self.trained.info.run_id

    def call(self, name: str, *words: object) -> None:
        where = [f"tracking.folder={self.place / 'mlruns'}"]
        where += [] if name == "predict" else [f"cache.dir={self.place / 'cache'}"]
        COMMANDS[name]([*map(str, words), *where])

    def judge(self, root: Path, *words: object) -> Any:
        known = {run.info.run_id for run in runs(self.place)}
        self.call("evaluate", self.id, "dataset=folder", f"dataset.root={root}", *words)
        (run,) = [run for run in runs(self.place) if run.info.run_id not in known]
        return run

    def file(self, run: Any, name: str) -> Path:
        return self.place / "mlruns" / "artifacts" / run.info.run_id / "artifacts" / name

    def rows(self, run: Any, name: str) -> list[dict[str, str]]:
        with self.file(run, name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def place(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Place:
    return Place(images, tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="module")
def copy(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images of the run under other class names."""
    root = tmp_path_factory.mktemp("copy")
    for name, other in RENAMED.items():
        shutil.copytree(images / name, root / other)
    return root


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Other pictures of two of the classes and of one that the run does not know."""
    root, random = tmp_path_factory.mktemp("new"), np.random.default_rng(7)
    for label, name in enumerate(("mel", "naevus", "wart")):
        (root / name).mkdir()
        for k in range(9):
            pixels = random.integers(0, 120, (20, 24, 3)) + 60 * label
            Image.fromarray(pixels.astype(np.uint8)).save(root / name / f"{k}.png")
    return root


@pytest.fixture(scope="module")
def judged(place: Place, copy: Path) -> Any:
    return place.judge(copy, "--classes", MAP)


def test_on_a_copy_of_its_data_what_tested_it_is_left_and_every_figure_is_its_own(
    place: Place, judged: Any
) -> None:
    own, found = place.trained.data.metrics, judged.data.metrics
    tests = {k.removeprefix("final/test/"): v for k, v in own.items() if k.startswith("final/test")}
    here = {
        k.removeprefix("final/external/"): v
        for k, v in found.items()
        if k.startswith("final/external")
    }
    assert here == tests and len(tests) > 30
    assert found["external/images"] == found["overlap/with_test"] == own["test_images"] > 5
    assert found["overlap/same_pixels"] == 42 - own["test_images"]
    of_test = place.rows(place.trained, "predictions_test.csv")
    of_set = place.rows(judged, "predictions_external.csv")
    for a, b in zip(of_test, of_set, strict=True):
        assert Path(a.pop("id")).name == Path(b.pop("id")).name
        for key in ("source", "group"):
            a.pop(key), b.pop(key)
        assert a == b
    contents = [
        json.loads(place.file(run, f"evaluation_{part}.json").read_text())
        for run, part in ((place.trained, "test"), (judged, "external"))
    ]
    for content in contents:
        content.pop("part")
    assert contents[0] == contents[1]


def test_it_is_a_child_that_says_what_it_judged(place: Place, judged: Any) -> None:
    tags = judged.data.tags
    assert tags["evaluation_of"] == tags["mlflow.parentRunId"] == place.id
    assert tags["leaky"] == "false" and judged.info.status == "FINISHED"
    settings = json.loads(place.file(judged, "judged.json").read_text())
    assert settings["classes"]["MELANOMA"] == {"is": "melanoma", "why": "same name"}
    assert settings["classes"]["nevus"] == {"is": "naevus", "why": "stated"}
    rows = place.rows(judged, "external.csv")
    assert len(rows) == 42
    assert sum(row["judged"] == "true" for row in rows) == judged.data.metrics["external/images"]
    page = place.file(judged, "external.html").read_text()
    assert "own test" in page and "stated" in page and "http" not in page.split("<body>")[1]
    assert page.count("<img") == page.count('<img class="drawn" alt="') == 3
    drawn = {path.name for path in place.file(judged, "figures").iterdir()}
    assert {"mistakes_external.png", "explanations_external.png"} <= drawn
    assert not place.file(judged, "model.weights.h5").exists()


def test_a_new_set_is_judged_as_computed_apart(place: Place, new: Path) -> None:
    run = place.judge(new, "--classes=mel=melanoma,wart=-")
    metrics = run.data.metrics
    assert metrics["external/images_left_out_by_class"] == 9 and metrics["overlap/images"] == 0
    files = {name: place.file(place.trained, name) for name in saved_model.FILES}
    saved = saved_model.load("run", files)
    decision = Decision.from_json(files["decision.json"].read_text())
    names = [f"{c}/{k}.png" for c in ("mel", "naevus") for k in range(9)]
    logits = saved.logits(np.stack([saved.decode(new / name) for name in names])).astype(float)
    truth = np.repeat([saved.classes.index(c) for c in ("melanoma", "naevus")], 9)
    share = np.array([decision.prior_correction.shares[c] for c in saved.classes])
    answer = (logits - 0.5 * np.log(share)).argmax(axis=1)
    recalls = [(answer[truth == k] == k).mean() for k in np.unique(truth)]
    assert metrics["final/external/balanced_accuracy"] == pytest.approx(np.mean(recalls))
    column, melanoma = saved.classes.index("melanoma"), truth == saved.classes.index("melanoma")
    assert metrics["final/external/melanoma_auc"] == pytest.approx(
        roc_auc_score(melanoma, softmax(logits)[:, column])
    )
    alert = softmax(logits, decision.temperature)[:, column] >= decision.threshold
    assert metrics["final/external/melanoma_alert_sensitivity"] == alert[melanoma].mean()
    assert metrics["final/external/melanoma_alert_specificity"] == (~alert)[~melanoma].mean()


def test_kept_overlap_is_leaky(place: Place, copy: Path) -> None:
    run = place.judge(copy, "--classes", MAP, "--keep-overlap")
    assert run.data.tags["leaky"] == "true" and run.data.metrics["external/images"] == 42
    assert "Leaky" in place.file(run, "external.html").read_text()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], "class nevus of the set"),
        (["--classes", "nevus=naevus,rest=rset"], "no class rset"),
        (["dataset.image_size=[8,8]"], "dataset.image_size: is the run's own"),
        (["train.epochs=3"], "takes dataset, tracking, cache and extend"),
        (["--by-names", "--trained-root", "x"], "one of the two"),
        (["--classes", MAP, "--trained-root", "nowhere"], "--by-names"),
    ],
)
def test_what_cannot_be_judged_is_refused(
    place: Place, copy: Path, words: list[str], expected: str
) -> None:
    before = len(runs(place.place))
    with pytest.raises(UserError, match=expected):
        place.call("evaluate", place.id, "dataset=folder", f"dataset.root={copy}", *words)
    assert len(runs(place.place)) == before


def test_an_evaluation_is_no_run_to_train_predict_or_compare(place: Place, judged: Any) -> None:
    run_id = judged.info.run_id
    for words in (
        ["rerun", run_id],
        ["resume", run_id],
        ["predict", run_id, place.images],
        ["compare", run_id, place.id],
        ["evaluate", run_id, "dataset=demo"],
    ):
        with pytest.raises(UserError, match=f"judges run {place.id}"):
            place.call(*words)

"""Runs of published experiments stand beside the published figures, marked for what they are."""

import csv
import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.local import Local

FOLDER = Path(__file__).resolve().parents[2] / "experiments" / "01-published"
NAME, STOPPED = "published/melanoma_cnn_model_m3", "published/cnn_melanoma_detection_m1"
OTHER = "published/upgrad_melonoma_m1"


def record(
    place: Path, name: str, accuracy: float, *overrides: str, end: Any = "FINISHED", files: int = 99
) -> None:
    """A tracked run without a training: two epochs, the last of the given accuracy."""
    asked = compose.compose(conf_folder(), [f"experiment={name}", *overrides])
    run = Local(kind="local", folder=place / "mlruns", experiment="e").start("run", place)
    run.log_params(config.parse(asked).flat())
    run.set_tags({"experiment": name, "leaky": "true", "machine.cores": "2"})
    run.set_tags({"git_commit": "0123456789", "git_dirty": "false"})
    run.log_metrics({"leak/val_rows_with_train_source": 0.88, "seconds/fit": 120, "parameters": 9})
    run.log_metrics({"train_images": files - 20, "val_images": 20})
    for epoch, value in enumerate((0.1, accuracy), 1):
        names = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")
        run.log_metrics(dict.fromkeys(names, value), epoch)
    run.end(end)


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("collected")
    record(place, NAME, 0.3)
    record(place, NAME, 0.6)  # replaces the one before
    record(place, NAME, 0.7, "seed=2")
    record(place, NAME, 0.9, end="FAILED")
    record(place, NAME, 0.9, end="KILLED")  # a finished one tells more
    record(place, OTHER, 0.5, "train.epochs=2")
    record(place, OTHER, 0.7, "train.epochs=2", files=97)
    record(place, "m1", 0.5)
    record(place, STOPPED, 0.2, end="KILLED")
    record(place, STOPPED, 0.1, end="FAILED")
    folder, conf = place / "01-published", place / "conf"
    shutil.copytree(FOLDER, folder)
    shutil.copytree(conf_folder(), conf)
    for path in [*folder.glob("*.png"), folder / "results.csv", folder / "curves.csv"]:
        path.unlink(missing_ok=True)
    collect(place, folder, conf)
    return folder, conf


def collect(place: Path, folder: Path, conf: Path) -> None:
    sys.path.insert(0, str(FOLDER))
    found = importlib.util.spec_from_file_location("collect", FOLDER / "collect.py")
    assert found and found.loader
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    sys.path.remove(str(FOLDER))
    module.main([str(place / "mlruns" / "mlflow.db")], folder, conf)


def test_a_row_is_the_newest_finished_run_of_a_seed_beside_the_published_figures(
    collected: tuple[Path, Path],
) -> None:
    rows = list(csv.DictReader((collected[0] / "results.csv").open()))
    assert [(r["experiment"], r["seed"], r["val_accuracy"], r["epochs"]) for r in rows] == [
        (STOPPED, "1", "0.2", "2"),
        (NAME, "1", "0.6", "2"),
        (NAME, "2", "0.7", "2"),
        (OTHER, "1", "0.7", "2"),
        (OTHER, "1", "0.5", "2"),
    ]
    assert [r["files"] for r in rows] == ["99", "99", "99", "97", "99"]
    assert rows[1]["published_val_accuracy"] == "0.799" and rows[1]["commit"] == "0123456"
    assert [r["changed"] for r in rows] == ["", "", "", *["train.epochs=2"] * 2]
    assert [r["finished"] for r in rows] == ["False", *["True"] * 4]


def test_the_readme_says_what_was_run_what_leaks_and_what_was_changed(
    collected: tuple[Path, Path],
) -> None:
    text = (collected[0] / "README.md").read_text()
    lines = text.partition("<!-- table -->")[2].splitlines()
    rows = {line.split(" | ")[0][2:]: line for line in lines if line.startswith("| ")}
    assert len(rows) == 16 and sum("upgrad_melonoma_m1 " in line for line in lines) == 2
    ours = ".650 (.600 to .700) / .650 (.600 to .700)"
    assert f"| .900 / .799 | {ours} | .100 to .700 |" in rows["melanoma_cnn_model_m3"]
    assert ".880 / - leaky" in rows["melanoma_cnn_model_m3"]
    assert rows["melanoma_cnn_model_m3"].endswith("| 2 | 2 | as published |")
    assert rows["upgrad_melonoma_m1"].endswith("| train.epochs=2 |")
    assert "not yet run" in rows["upgrad_melonoma_m2"]
    assert "| .200 / .200 | .100 to .200 |" in rows["cnn_melanoma_detection_m1"]
    assert "| 2 of 20 | 1 |" in rows["cnn_melanoma_detection_m1"]


def test_headers_get_our_figures_and_nothing_else_changes(collected: tuple[Path, Path]) -> None:
    path = f"experiment/{NAME}.yaml"
    before, after = ((conf / path).read_text() for conf in (conf_folder(), collected[1]))
    changed = set(after.splitlines()) - set(before.splitlines())
    ours, time = sorted(changed)
    assert ours.startswith("# ours: train accuracy 0.650 (0.600 to 0.700), ")
    assert ours.endswith("(2 seeds, 99 files)") and time == "# time: 120 s of training, 2 cores"
    other = collected[1] / "experiment/published/upgrad_melonoma_m1.yaml"
    assert "(1 run, 97 files, train.epochs=2)" in other.read_text()


def test_curves_are_drawn_for_the_systems_that_were_run(collected: tuple[Path, Path]) -> None:
    drawn = sorted(path.name for path in collected[0].glob("*.png"))
    assert drawn == [
        "curves_cnn_melanoma_detection.png",
        "curves_melanoma_cnn_model.png",
        "curves_upgrad_melonoma.png",
    ]


def test_what_was_collected_stays_when_its_store_is_gone(
    collected: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, conf = tmp_path / "01-published", tmp_path / "conf"
    shutil.copytree(collected[0], folder)
    shutil.copytree(collected[1], conf)
    files = [folder / name for name in ("results.csv", "curves.csv", "README.md")]
    before = [path.read_text() for path in files]
    pictures = sorted(folder.glob("*.png"))
    drawn = [path.read_bytes() for path in pictures]
    record(tmp_path, "m1", 0.5)
    collect(tmp_path, folder, conf)
    assert [path.read_text() for path in files] == before
    assert [path.read_bytes() for path in pictures] == drawn
    record(tmp_path, NAME, 0.8)  # newer than the one that is kept
    record(tmp_path, STOPPED, 0.4)
    collect(tmp_path, folder, conf)
    rows = list(csv.DictReader(files[0].open()))
    assert [(r["experiment"], r["seed"], r["val_accuracy"], r["finished"]) for r in rows] == [
        (STOPPED, "1", "0.4", "True"),
        (NAME, "1", "0.8", "True"),
        (NAME, "2", "0.7", "True"),
        (OTHER, "1", "0.7", "True"),
        (OTHER, "1", "0.5", "True"),
    ]
    assert len(files[1].read_text().splitlines()) == 1 + 5 * 2

"""Every published system composes to the published network, trains, and says what it is."""

import csv
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose, main
from melanoma_exp.data import children, loader
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training.losses import ClassFrequencies

FOLDER = conf_folder() / "experiment"
EXPERIMENTS = sorted(
    path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.rglob("*.yaml")
)
CSV = Path(__file__).resolve().parents[2] / "experiments" / "01-published" / "published.csv"
PUBLISHED = {f"published/{row['system']}_{row['stage']}": row for row in csv.DictReader(CSV.open())}
FIGURES = {
    "train accuracy": "train_accuracy",
    "val accuracy": "val_accuracy",
    "train loss": "train_loss",
    "val loss": "val_loss",
}
BROKEN = [f"published/skin_cancer_assignment_upgrad_{stage}" for stage in ("m1", "m3")]


@cache
def content(*overrides: str) -> dict[str, Any]:
    return compose.compose(conf_folder(), list(overrides))


@cache
def published(name: str) -> config.Experiment:
    return config.parse(content(f"experiment={name}"))


def header(name: str) -> list[str]:
    lines = (FOLDER / f"{name}.yaml").read_text().splitlines()
    return [line.removeprefix("# ") for line in lines if line.startswith("#")]


def test_the_table_of_published_figures_and_the_experiments_are_the_same_fifteen() -> None:
    assert [name for name in EXPERIMENTS if name.startswith("published/")] == sorted(PUBLISHED)
    assert len(PUBLISHED) == 15


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_network_has_the_published_parameters(name: str) -> None:
    experiment, row = published(name), PUBLISHED[name]
    classes = 9 if experiment.dataset.task == "classes" else 2
    model = experiment.model.build((*experiment.dataset.image_size, 3), classes)
    assert experiment.dataset.image_size == (180, 180)
    assert model.count_params() == int(row["parameters"])
    assert model.output_shape == (None, classes)
    if row["not_trainable"]:
        frozen = sum(int(np.prod(w.shape)) for w in model.non_trainable_weights)
        assert frozen == int(row["not_trainable"])


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_header_holds_source_figures_parameters_and_the_command(name: str) -> None:
    summary, *lines = header(name)[1:]
    said = dict(line.split(": ", 1) for line in lines if ": " in line)
    row = PUBLISHED[name]
    assert row["system"] in summary and row["system"] in said["source"]
    figures = [f"{word} {row[key]}" for word, key in FIGURES.items() if row[key]]
    assert said["published"] == ", ".join(figures)
    assert said["parameters"].startswith(f"{int(row['parameters']):,}")
    assert said["command"] == f"melanoma-exp experiment={name} dataset.root=DIR"
    assert said["ours"] and said["time"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_experiment_splits_and_trains_as_published(name: str) -> None:
    experiment, stage = published(name), PUBLISHED[name]["stage"]
    assert experiment.dataset.kind == "isic9"
    assert tuple(experiment.split.model_dump().values()) == ("published", None, 0.2, 123)
    assert experiment.model.name == name.removeprefix("published/")
    epochs = {"upgrad_melonoma_m3": 40, "skin_cancer_assignment_upgrad_m3": 50}
    usual = {"m3": 30, "long": 50}.get(stage, 20)
    assert experiment.train.epochs == epochs.get(experiment.model.name, usual)
    train = experiment.train
    assert (train.optimizer, train.learning_rate, train.keep) == ("adam", 0.001, "last")
    assert experiment.augment.online == (stage == "m2")
    if stage == "m3":
        rotate = {"probability": 0.7, "max_left_rotation": 10, "max_right_rotation": 10}
        assert experiment.augment.model_dump()["operations"] == ({"name": "rotate", **rotate},)
        count = 1000 if "upgrad_m3" in name else 500
        assert experiment.balance.model_dump()["count"] == count
    else:
        assert experiment.balance.kind == "none"


def test_callbacks_augmentation_and_rescaling_are_the_published_ones() -> None:
    def plateau(name: str) -> tuple[Any, ...]:
        return tuple(published(f"published/{name}").train.plateau.model_dump().values())

    assert plateau("cnn_melanoma_detection_m3") == ("val/accuracy", 0.2, 5, 1e-7)
    assert plateau("skin_cancer_assignment_upgrad_m2") == ("val/accuracy", 0.5, 3, 1e-5)
    lowered = [n for n in PUBLISHED if published(n).train.schedule == "plateau"]
    assert sorted(lowered) == [
        "published/cnn_melanoma_detection_m3",
        "published/skin_cancer_assignment_upgrad_m2",
        "published/skin_cancer_assignment_upgrad_m3",
    ]
    policies = {n: published(n).augment.model_dump() for n in PUBLISHED if n.endswith("_m2")}
    keys = ("flip", "rotation", "zoom_height", "zoom_width", "shift_height", "fill_mode")
    still, turn = (0.0, 0.0), (-0.0277778, 0.0277778)
    assert {n.split("/")[1]: tuple(p[k] for k in keys) for n, p in policies.items()} == {
        "upgrad_melonoma_m2": (
            "horizontal_and_vertical",
            (-0.4, 0.4),
            (-0.3, 0.3),
            None,
            still,
            "reflect",
        ),
        "cnn_melanoma_detection_m2": (
            "horizontal",
            (-0.1, 0.1),
            (-0.1, 0.1),
            None,
            still,
            "reflect",
        ),
        "melanoma_cnn_model_m2": (
            "horizontal_and_vertical",
            (-0.2, 0.2),
            (0.2, 0.3),
            (0.2, 0.3),
            still,
            "reflect",
        ),
        "skin_cancer_assignment_upgrad_m2": (
            "none",
            turn,
            (-0.1, 0.1),
            (-0.1, 0.1),
            (-0.1, 0.1),
            "nearest",
        ),
    }
    raw = [n for n in PUBLISHED if not getattr(published(n).model, "rescale", True)]
    assert sorted(raw) == [f"published/skin_cancer_assignment_upgrad_{s}" for s in ("m2", "m3")]


def small(name: str, images: Path, place: Path, task: str | None = None) -> config.Experiment:
    """The experiment on the small images, at the smallest size that its pools leave anything of."""
    spec = published(name).model
    for size in range(8, 60, 8):
        try:
            spec.build((size, size, 3), 2 if getattr(spec, "head_units", None) else 3)
            break
        except UserError:
            continue
    given = content(f"experiment={name}")
    given["cache"] = {**given["cache"], "dir": str(place / "cache")}
    task = task or given["dataset"]["task"]
    where = {"root": str(images), "image_size": [size, size], "task": task}
    given["dataset"] = {**content("dataset=folder")["dataset"], **where}
    given["train"] = {**given["train"], "batch_size": 2}
    if "count" in given["balance"]:
        given["balance"] = {**given["balance"], "count": 2}
    return config.parse(given)


@pytest.mark.parametrize("name", [n for n in EXPERIMENTS if "recipe/" not in n])  # test_recipes.py
def test_every_experiment_trains_a_step(
    name: str, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from melanoma_exp.training.optim import compile_model

    # One thread draws the few children: a process of its own would cost a second.
    monkeypatch.setattr(children, "_workers", lambda tasks: ThreadPoolExecutor(1))
    experiment = small(name, images, tmp_path)
    ready = runner.prepare_data(experiment)
    train = experiment.train
    train_loader = loader.Loader.training(
        ready.plan, ready.reader, experiment.augment, train.batch_size, experiment.seed
    )
    assert ready.parts.train.copy.any() == name.endswith("m3")
    classes = ClassFrequencies.of(ready.plan)
    model = experiment.model.build(ready.data.pixels.shape[1:], len(classes))
    compile_model(model, train, train_loader.steps, classes)
    model.run_eagerly = True
    before = [np.array(w) for w in model.get_weights()]
    loss, accuracy = model.train_on_batch(*train_loader.batch(0, 0))
    assert np.isfinite(loss) and 0 <= accuracy <= 1
    after = model.get_weights()
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["published/upgrad_melonoma_m2", "m3", None])
def test_a_run_is_tagged_with_the_experiment_it_was_asked_for(
    name: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(runner, "run", lambda _, folder, tags, *more: seen.append(tags))
    place = f"hydra.run.dir={tmp_path}/hydra"
    choice = [f"experiment={name}"] if name else []
    monkeypatch.setattr(sys, "argv", ["melanoma-exp", *choice, place])
    main.main()
    assert seen == [{"experiment": name} if name else {}]


@pytest.mark.parametrize("name", BROKEN)
def test_one_unit_for_nine_classes_is_refused_with_what_happened(
    name: str, images: Path, tmp_path: Path
) -> None:
    assert published(name).dataset.task == "melanoma"
    broken = small(name, images, tmp_path, task="classes")
    with pytest.raises(UserError, match="loss of -9e8 or exactly 0 and a constant accuracy"):
        runner.prepare_data(broken)


def test_the_broken_pairing_ends_with_one_line_and_exit_code_2(
    images: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "melanoma_exp",
            f"experiment={BROKEN[0]}",
            "dataset=folder",
            "dataset.task=classes",
            f"dataset.root={images}",
            f"cache.dir={tmp_path}/cache",
            f"tracking.folder={tmp_path}/mlruns",
            f"hydra.run.dir={tmp_path}/hydra",
        ],
        capture_output=True,
        text=True,
        timeout=200,
        cwd=tmp_path,
    )
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("model.head_units=1 cannot tell 3 classes apart: ")
    assert "-9e8" in done.stderr and "dataset.task=melanoma" in done.stderr
    assert not (tmp_path / "mlruns").exists()

"""A study finds the runs of its sweep, and writes table, tests and figure from them alone."""

import csv
import importlib.util
import shutil
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from stored_runs import Store

FOLDER = Path(__file__).resolve().parents[2] / "experiments"


@pytest.fixture(scope="module")
def study() -> Any:
    sys.path.insert(0, str(FOLDER))
    spec = importlib.util.spec_from_file_location("study", FOLDER / "study.py")
    assert spec and spec.loader
    module = sys.modules["study"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    sys.path.remove(str(FOLDER))
    del sys.modules["study"]


def recorded(study: ModuleType, store: Store, name: str, *changed: str) -> None:
    """Writes a finished run for each job; M3 is better, and far better where it leaks."""
    for job in study.STUDIES[name].jobs():
        settings = dict(word.split("=") for word in job)
        leaky = settings.get("split") == "published"
        skill = 0.3 + 0.3 * (settings["experiment"] == "m3") * (2 if leaky else 0.5)
        seed = int(settings["seed"])
        words = [word for word in job if not word.startswith("seed=")]
        store.write(
            *words,
            f"dataset.root={store.folder}",
            *changed,
            skill=skill,
            seed=seed,
            leak=0.88 * leaky,
            tags={"experiment": settings["experiment"], "git_dirty": "false"},
            draw=seed + 10 * (settings["experiment"] == "m3") + int(settings.get("split.fold", 0)),
        )


def copied(tmp_path: Path, name: str) -> Path:
    """Returns a folder with the study's README alone."""
    (tmp_path / name).mkdir()
    shutil.copy(FOLDER / name / "README.md", tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("name", ["02-leak", pytest.param("04-ham10000", marks=pytest.mark.slow)])
def test_runs_become_a_table_a_figure_and_words(study: Any, tmp_path: Path, name: str) -> None:
    store = Store(tmp_path / "mlruns")
    recorded(study, store, name, "dataset.image_size=[64,64]")
    job = study.STUDIES[name].jobs()[0]
    store.write(*job, f"dataset.root={store.folder}")  # newer, and of another size
    folder = copied(tmp_path, name)
    words = [name, str(store.folder), "--collect", f"tracking.folder={store.folder}"]
    study.main([*words, "dataset.image_size=[64,64]"], folder)
    rows = list(csv.DictReader((folder / name / "results.csv").open()))
    assert len(rows) == len(study.STUDIES[name].jobs())
    assert {row["dataset.image_size"] for row in rows} == {"[64, 64]"}
    epochs = list(csv.DictReader((folder / name / "epochs.csv").open()))
    assert len(epochs) == 3 * len(rows)
    assert (folder / name / "figure.png").stat().st_size > 10_000
    text = (folder / name / "README.md").read_text()
    assert "| val balanced accuracy |" in text and "<!-- end of results -->" in text
    if name == "02-leak":
        assert (
            "**leaky**" in text
            and "is leak: " in text
            and ["true", "false"] == sorted({row["leaky"] for row in rows}, reverse=True)
        )
    else:
        assert "- M3 finds 0." in text


def test_auto_finds_the_runs_in_the_precision_that_it_became(study: Any, tmp_path: Path) -> None:
    store = Store(tmp_path / "mlruns")
    recorded(study, store, "02-leak", "train.precision=bfloat16")
    archive = study.composed([f"tracking.folder={store.folder}"]).tracking.archive()
    jobs = [
        study.composed([*job, f"dataset.root={store.folder}", "train.precision=auto"]).flat()
        for job in study.STUDIES["02-leak"].jobs()
    ]
    found = study.find(archive, jobs)
    assert len({run.id for run in found}) == len(jobs)
    assert {run.params["train.precision"] for run in found} == {"bfloat16"}


def test_a_job_that_was_not_run_is_named(
    study: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Store(tmp_path / "mlruns")
    store.write("experiment=m1", f"dataset.root={tmp_path}", "dataset=isic9")
    folder = copied(tmp_path, "02-leak")
    words = ["02-leak", str(tmp_path), "--collect", f"tracking.folder={store.folder}"]
    with pytest.raises(SystemExit) as stopped:
        study.main(words, folder)
    lines = str(stopped.value).splitlines()
    assert len(lines) == 11 and "not run: m1-published-s1" in lines
    assert "not run: m1-holdout-s1" not in lines
    assert not (folder / "02-leak" / "results.csv").exists()


def test_only_what_is_missing_is_trained(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "mlruns")
    store.write(
        "experiment=m1", "split=holdout", f"dataset.root={tmp_path}", "dataset=isic9", seed=2
    )
    commands: list[list[str]] = []

    def succeed(command: list[str]) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(study.subprocess, "run", succeed)
    with pytest.raises(SystemExit, match="not run"):
        study.main(["02-leak", str(tmp_path), f"tracking.folder={store.folder}"], tmp_path)
    seeds = [next(word for word in words if word.startswith("seed=")) for words in commands]
    assert seeds == ["seed=1,2,3", "seed=1,3", "seed=1,2,3", "seed=1,2,3"]
    assert all(words[1:4] == ["-m", "melanoma_exp", "-m"] for words in commands)


def test_a_study_of_nothing_yet_begins(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study.subprocess, "run", lambda command: SimpleNamespace(returncode=1))
    with pytest.raises(SystemExit, match="failed: m1-published"):
        study.main(["02-leak", str(tmp_path), f"tracking.folder={tmp_path / 'new'}"], tmp_path)


def test_ensembles_are_of_each_seed_or_of_all_and_made_once(
    study: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "mlruns")
    place = f"tracking.folder={store.folder}"
    ids = [
        store.write("experiment=m1", "split=kfold", f"split.fold={fold}", seed=seed)
        for fold in (0, 1)
        for seed in (1, 2)
    ]
    archive = study.composed([place]).tracking.archive()
    members = [archive.run(run_id) for run_id in ids]
    commands: list[list[str]] = []

    def make(command: list[str]) -> None:
        commands.append(command)
        name = command.index("--name")
        tags = {"ensemble_of": " ".join(command[4:name])}
        store.write("experiment=m1", seed=3, tags=tags, name=command[name + 1])

    monkeypatch.setattr(study.subprocess, "run", make)
    words = ["dataset.root=elsewhere", place, "train.epochs=1"]
    views = ["inference=flips"]
    made = study.ensembles(archive, "both", members, True, views, words)
    assert study.ensembles(archive, "both", members, True, views, words) == made
    assert [run.name for run in made] == ["both-s1", "both-s2"]
    first = ["melanoma_exp", "ensemble", ids[0], ids[2], "--name", "both-s1", *views, place]
    second = ["melanoma_exp", "ensemble", ids[1], ids[3], "--name", "both-s2", *views, place]
    assert [command[2:] for command in commands] == [first, second]
    (of_all,) = study.ensembles(archive, "four", members, False, views, words)
    assert of_all.name == "four" and of_all.tags["ensemble_of"] == " ".join(ids)
    monkeypatch.setattr(study.subprocess, "run", lambda command: None)
    with pytest.raises(study.UserError, match="failed: reversed"):
        study.ensembles(archive, "reversed", members[:1], True, [], words)

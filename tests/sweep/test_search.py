"""A search asks for its jobs one by one, gives hopeless ones up, and is gone on with exactly."""

import json
import os
import re
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from small_run import overrides, runs
from test_sweep import ended, jobs_csv, melanoma_exp, parent_of

from melanoma_exp.cli import compose
from melanoma_exp.cli import overrides as swept
from melanoma_exp.spec import UserError
from melanoma_exp.sweep.search import spec
from melanoma_exp.sweep.search.pruner import Judge
from melanoma_exp.sweep.search.spec import Median, Optuna, Search
from melanoma_exp.system.installation import conf_folder

optuna = pytest.importorskip("optuna", reason="needs the extra `sweep`")
from melanoma_exp.sweep.search.study import Study  # noqa: E402

RULE = Median(monitor="val_accuracy", n_startup_trials=2, n_warmup_epochs=1)
SPACE = {
    "train.learning_rate": {"kind": "real", "low": 1e-4, "high": 1e-1, "step": None, "log": True},
    "train.batch_size": {"kind": "whole", "low": 4, "high": 12, "step": 4, "log": False},
    "model": {"kind": "choice", "values": ["m1", "m3"]},
}


def search(**more: Any) -> Search:
    options: dict[str, Any] = {
        "kind": "optuna",
        "n_trials": 12,
        "sampler": "tpe",
        "n_startup_trials": 3,
        "seed": 1,
        "pruner": RULE,
        "storage": None,
        "study_name": None,
        "params": {},
    }
    space = {key: spec.dimension(key, content) for key, content in SPACE.items()}
    return Search(options=Optuna(**{**options, **more}), words=(), space=space)


def score(values: Mapping[str, Any]) -> float:
    return float(values["train.learning_rate"]) + 0.01 * int(values["train.batch_size"])


def test_an_interrupted_search_draws_what_it_would_have_drawn(tmp_path: Path) -> None:
    """It is closed and opened again after every trial, and once in the middle of one."""
    drawn = []
    for place in (tmp_path / "whole", tmp_path / "pieces"):
        place.mkdir()
        study, found = Study(search(), place, "s"), []
        while study.left:
            number, values = study.ask()
            if place.name == "pieces":
                study = Study(search(), place, "s")
                assert [trial.number for trial in study.open_trials()] == [number]
            found.append(values)
            study.tell(number, score(values))
        drawn.append(found)
    assert len(drawn[0]) == 12 and drawn[0] == drawn[1]
    assert len({values["train.learning_rate"] for values in drawn[0]}) == 12
    other = Study(search(seed=2), tmp_path, "s")
    assert other.ask()[1] != drawn[0][0]


def test_a_job_below_the_median_is_given_up_and_epochs_are_told_once(tmp_path: Path) -> None:
    study = Study(search(), tmp_path, "s")
    for value in (0.6, 0.8):
        number, _ = study.ask()
        judge = Judge(RULE, study, number)
        assert [judge({"val/accuracy": [value] * n}) for n in (1, 2, 3)] == ["", "", ""]
        study.tell(number, value)
    number, _ = study.ask()
    poor = Judge(RULE, study, number)
    assert "0.6, is behind the median" in poor({"val/accuracy": [0.5, 0.6]})
    # Gone on with after two epochs, in a new process: all three are known, each once.
    again = Judge(RULE, Study(search(), tmp_path, "s"), number)
    assert again({"val/accuracy": [0.5, 0.6, 0.75]}) == ""
    assert study.trials[number].intermediate_values == {1: 0.5, 2: 0.6, 3: 0.75}


def test_a_study_that_is_gone_costs_a_warning_and_no_job(tmp_path: Path) -> None:
    study = Study(search(), tmp_path, "s")
    number, _ = study.ask()
    (tmp_path / "study.db").write_bytes(b"no database" * 1000)
    with pytest.warns(UserWarning, match="cannot be reached"):
        assert Judge(RULE, study, number)({"val/accuracy": [0.5]}) == ""
    with pytest.raises(UserError, match="storage: sqlite.* cannot be opened"):
        Study(search(), tmp_path, "s")


def checked(*words: str) -> None:
    """Checks a search as the sweeper does."""
    from melanoma_exp.sweep.search import queue

    conf = conf_folder()
    fixed, drawn = swept.read_space(list(words))
    space = {key: spec.dimension(key, content) for key, content in drawn.items()}
    asked = search().model_copy(update={"words": tuple(fixed), "space": space})
    queue.check(asked, lambda words: compose.compose(conf, words))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=1,2"], "^seed: a search over it finds the luckiest one"),
        (["split=published", "model.dropout=0.1,0.2"], "^split=published: .* that is the leak"),
        ([], "^hydra.sweeper.params: there is nothing to search"),
        (["model=m2", "model.dropout=interval(0.0,1.5)"], r"^model.dropout: .* 0.99 \(got 1.5\)"),
        (["train.learning_rate=tag(log,interval(0.0,1.0))"], "learning_rate: should rise, with"),
        (["model=m1,m5"], "^model=m5: there is no such option"),
        (["distribution=multi_worker", "seed=1", "model=m1,m2"], "^distribution=multi_worker: "),
    ],
)
def test_a_space_is_checked_before_any_job(words: list[str], line: str) -> None:
    with pytest.raises(UserError) as wrong:
        checked(*words)
    assert any(re.search(line, told) for told in wrong.value.lines), wrong.value.lines


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hydra.sweeper.pruner.monitor=loss"], "^hydra.sweeper.pruner.monitor: .*val_loss.*loss"),
        (["hydra.sweeper.storage=nosql://x"], "^hydra.sweeper.storage: nosql://x cannot be opened"),
        (["hydra.sweeper.storage='a://u:secret@h/d'"], r"^hydra.sweeper.storage: .* a://u:\*{3}@h"),
    ],
)
def test_a_wrong_option_is_one_line(
    images: Path, tmp_path: Path, words: list[str], line: str
) -> None:
    space = ["hydra/sweeper=optuna", "model.dropout=0.1,0.2"]
    place = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    command = [*overrides(images, tmp_path), *space, *words, place]
    code, said = ended(melanoma_exp(tmp_path, "-m", *command))
    assert code == 2 and len(said.splitlines()) == 1 and re.search(line, said), said
    assert not list(tmp_path.rglob("job.log")) and not (tmp_path / "mlruns").exists()


def command(images: Path, place: Path, *more: str) -> list[str]:
    """Returns a search in which a rate of 1000 is always behind one of 0.001."""
    return [
        "-m",
        *overrides(images, place, "train.epochs=3"),
        "hydra/sweeper=optuna",
        "train.learning_rate=0.001,1000.0",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.sampler=random",
        "hydra.sweeper.seed=7",
        "hydra.sweeper.pruner.monitor=val_loss",
        "hydra.sweeper.pruner.n_startup_trials=1",
        "hydra.sweeper.pruner.n_warmup_epochs=1",
        f"hydra.sweep.dir={place / 'sweep'}",
        *more,
    ]


@pytest.mark.timeout(300)
def test_a_search_from_command_line_to_page(images: Path, tmp_path: Path) -> None:
    code, said = ended(melanoma_exp(tmp_path, *command(images, tmp_path)))
    assert code == 0, said
    rows = jobs_csv(tmp_path)
    rates = [row["overrides"].partition("train.learning_rate=")[2].split()[0] for row in rows]
    assert rates == ["0.001", "1000.0", "0.001"]
    assert [row["state"] for row in rows] == ["finished", "pruned", "finished"]
    assert "3 of 3 done, 1 of them pruned, 0 failed" in said and "flatters" in said
    lost = 1
    assert "behind the median of the other jobs at epoch 1" in rows[lost]["last"]
    parent = parent_of(tmp_path)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["jobs_pruned"] == 1
    page = (tmp_path / "sweep/results/search.html").read_text()
    assert "train.learning_rate" in page and "not a medical device" in page
    assert "<script src" not in page  # it needs no network
    given_up = next(r for r in runs(tmp_path) if r.info.run_id == rows[lost]["run_id"])
    assert given_up.info.status == "KILLED" and "median" in given_up.data.tags["pruned"]
    assert not list((tmp_path / "mlruns").rglob(f"{given_up.info.run_id}/*epoch*"))
    code, said = ended(melanoma_exp(tmp_path, "resume", given_up.info.run_id, *place(tmp_path)))
    assert code == 2 and "was given up by a search" in said

    code, said = ended(melanoma_exp(tmp_path, *command(images, tmp_path, "model.dropout=0.1,0.2")))
    assert code == 2 and "holds another search" in said


def place(folder: Path) -> list[str]:
    return [f"tracking.folder={folder / 'mlruns'}"]


def kept(place: Path) -> list[tuple[str, ...]]:
    rows = jobs_csv(place)
    return [
        (
            row["job"],
            row["overrides"].split("train.learning_rate=")[1],
            row["state"],
            row["val_balanced_accuracy"],
        )
        for row in rows
    ]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_search_ends_as_one_that_was_not(images: Path, tmp_path: Path) -> None:
    """Launcher and job get SIGKILL in the third job; then it is resumed, and made longer."""
    tpe = [
        "hydra.sweeper.sampler=tpe",
        "train.learning_rate=tag(log,interval(1e-4,1.0))",
        "hydra.sweeper.n_startup_trials=2",
        "hydra.sweeper.n_trials=5",
        # The job that is killed cannot be given up before: two have finished then.
        "hydra.sweeper.pruner.n_startup_trials=3",
    ]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    code, said = ended(melanoma_exp(whole, *command(images, whole, *tpe)), 500)
    assert code == 0, said

    process = melanoma_exp(broken, *command(images, broken, *tpe))
    log = broken / "sweep/2/job.log"
    deadline = time.monotonic() + 300
    while not (log.exists() and "epoch 1/3" in log.read_text()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    status = json.loads((broken / "sweep/2/status.json").read_text())
    process.send_signal(signal.SIGKILL)
    os.killpg(int(status["process"].split(":")[1]), signal.SIGKILL)
    process.wait()
    code, said = ended(melanoma_exp(broken, "resume-sweep", "sweep", "--dry-run"))
    assert code == 0 and "job 2 (running) goes on" in said, said
    assert "until there are 5" in said
    # From another place: what is relative stays so.
    code, said = ended(melanoma_exp(tmp_path, "resume-sweep", "broken/sweep"), 500)
    assert code == 0, said
    assert [row[0] for row in kept(broken)] == list("01234")
    # Places differ, so the words do; values, states and scores are the same to the last digit.
    assert kept(broken) == kept(whole)
    more = ["resume-sweep", "sweep", "hydra.sweeper.n_trials=6"]
    code, said = ended(melanoma_exp(broken, *more), 500)
    assert code == 0 and len(jobs_csv(broken)) == 6, said


def test_without_optuna_one_line_says_what_to_install(images: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    words = [*overrides(images, tmp_path), "hydra/sweeper=optuna", "model.dropout=0.1,0.2"]
    code, said = ended(melanoma_exp(tmp_path, "-m", *words, PYTHONPATH=path))
    assert code == 2 and said.strip().endswith("pip install 'melanoma_exp[sweep]'"), said
    plain = [*overrides(images, tmp_path, "train.epochs=1"), "seed=1"]
    code, said = ended(melanoma_exp(tmp_path, "-m", *plain, PYTHONPATH=path))
    assert code == 0, said  # any other sweep needs it not


def test_every_search_that_is_shipped_can_begin() -> None:
    shipped = sorted((conf_folder() / "experiment" / "search").glob("*.yaml"))
    assert shipped
    for path in shipped:
        content = yaml.safe_load(path.read_text())
        drawn = content["hydra"]["sweeper"]["params"].items()
        checked(f"experiment=search/{path.stem}", *(f"{key}={value}" for key, value in drawn))

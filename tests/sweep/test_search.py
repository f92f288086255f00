"""A search draws its jobs one by one, prunes hopeless ones, and is resumed exactly."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from melanoma_exp.cli import compose
from melanoma_exp.cli import overrides as swept
from melanoma_exp.spec import UserError
from melanoma_exp.sweep.search.config import Optuna, Search
from melanoma_exp.sweep.search.pruning import Median
from melanoma_exp.sweep.search.pruning.base import Rule
from melanoma_exp.sweep.search.space import distribution
from melanoma_exp.system.installation import conf_folder

optuna = pytest.importorskip("optuna", reason="needs the extra `sweep`")
from melanoma_exp.sweep.search.pruner import Pruner  # noqa: E402
from melanoma_exp.sweep.search.study import Study  # noqa: E402

RULE = Median(kind="median", monitor="val/accuracy", n_startup_trials=2, n_warmup_epochs=1)
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
    return Search(options=Optuna(**{**options, **more}), words=(), space=SPACE)


def pruner(study: Study, number: int, rule: Rule = RULE) -> Pruner:
    return Pruner(rule, True, study, number)


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


def test_a_job_below_the_median_is_pruned_and_epochs_are_reported_once(tmp_path: Path) -> None:
    study = Study(search(), tmp_path, "s")
    for value in (0.6, 0.8):
        number, _ = study.ask()
        prune = pruner(study, number)
        assert [prune({"val/accuracy": [value] * n}) for n in (1, 2, 3)] == ["", "", ""]
        study.tell(number, value)
    number, _ = study.ask()
    poor = pruner(study, number)
    assert "0.5, is behind the median" in poor({"val/accuracy": [0.5]})
    # Resumed after one epoch, in a new process: all three are known, each once.
    again = pruner(Study(search(), tmp_path, "s"), number)
    assert "0.5, is behind the median" in again({"val/accuracy": [0.5]})
    assert again({"val/accuracy": [0.5, 0.9, 0.75]}) == ""
    assert study.trials[number].intermediate_values == {1: 0.5, 2: 0.9, 3: 0.75}


def test_a_study_that_is_gone_costs_a_warning_and_no_job(tmp_path: Path) -> None:
    study = Study(search(), tmp_path, "s")
    number, _ = study.ask()
    (tmp_path / "study.db").write_bytes(b"no database" * 1000)
    with pytest.warns(UserWarning, match="cannot be reached"):
        assert pruner(study, number)({"val/accuracy": [0.5]}) == ""
    with pytest.raises(UserError, match="storage: sqlite.* cannot be opened"):
        Study(search(), tmp_path, "s")


def checked(*words: str) -> Search:
    """Returns a search that is checked as the sweeper does."""
    from melanoma_exp.sweep.search import queue

    conf = conf_folder()
    fixed, drawn = swept.read_space(list(words))
    asked = search().model_copy(update={"words": tuple(fixed), "space": drawn})
    return queue.check(asked, lambda words: compose.compose(conf, words))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["seed=1,2"], "^seed: a search over it finds the luckiest one"),
        (["split=published", "model.dropout=0.1,0.2"], "^split=published: .* that is the leak"),
        ([], "^hydra.sweeper.params: there is nothing to search"),
        (["model=m2", "model.dropout=interval(0.0,1.5)"], r"^model.dropout: .* 0.99 \(got 1.5\)"),
        (
            ["train.learning_rate=tag(log,interval(0.0,1.0))"],
            "learning_rate: nothing can be drawn: .low > 0",
        ),
        (
            ["train.batch_size=range(3,9,2)", "evaluation.objective=val/kappa,val/accuracy"],
            "one obj",
        ),
        (["model=m1,m5"], "^model=m5: there is no such option"),
        (["distribution=multi_worker", "seed=1", "model=m1,m2"], "^distribution=multi_worker: "),
    ],
)
def test_a_space_is_checked_before_any_job(words: list[str], line: str) -> None:
    with pytest.raises(UserError) as wrong:
        checked(*words)
    assert any(re.search(line, one) for one in wrong.value.lines), wrong.value.lines


def test_every_search_that_is_shipped_can_begin() -> None:
    shipped = sorted((conf_folder() / "experiment" / "search").glob("*.yaml"))
    assert shipped
    for path in shipped:
        content = yaml.safe_load(path.read_text())
        drawn = content["hydra"]["sweeper"]["params"].items()
        checked(f"experiment=search/{path.stem}", *(f"{key}={value}" for key, value in drawn))


def test_what_is_drawn_becomes_optunas_distributions() -> None:
    fixed, drawn = swept.read_space(
        ["a=1,2", "b=range(2,11,4)", "c=tag(log,interval(1e-4,1))", "d=int(interval(3,5))"]
    )
    found = {key: distribution(key, content) for key, content in drawn.items()}
    assert found == {
        "a": optuna.distributions.CategoricalDistribution(["1", "2"]),
        "b": optuna.distributions.IntDistribution(2, 10, step=4),
        "c": optuna.distributions.FloatDistribution(1e-4, 1, log=True),
        "d": optuna.distributions.IntDistribution(3, 5),
    }
    with pytest.raises(UserError, match="^x: nothing can be drawn: "):
        distribution("x", {"kind": "whole", "low": 3, "high": 1, "step": 1, "log": False})


@pytest.mark.parametrize(
    ("objective", "direction"), [("val/macro_auc", "maximize"), ("val/brier", "minimize")]
)
def test_a_search_optimises_its_objective_in_its_direction(
    objective: str, direction: str, tmp_path: Path
) -> None:
    found = checked(f"evaluation.objective={objective}", "model=m1,m2")
    assert (found.objective, found.direction) == (objective, direction)
    study = Study(found, tmp_path, "s")
    for value in (0.3, 0.5):
        study.tell(study.ask()[0], value)
    assert study.optuna.best_value == (0.5 if direction == "maximize" else 0.3)


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
@pytest.mark.parametrize("monitor", ["val/accuracy", "val/loss"])
def test_pruning_knows_the_direction_of_monitor_and_objective(
    monitor: str, direction: str, tmp_path: Path
) -> None:
    rule = RULE.model_copy(update={"monitor": monitor, "n_warmup_epochs": 0})
    options = search(pruner=rule)
    study = Study(options.model_copy(update={"direction": direction}), tmp_path, "s")
    up = monitor == "val/accuracy"
    for value in (0.6, 0.8):
        number, _ = study.ask()
        assert Pruner(rule, up, study, number)({monitor: [value]}) == ""
        study.tell(number, 1.0)
    better, worse = (0.9, 0.5) if up else (0.5, 0.9)
    assert Pruner(rule, up, study, study.ask()[0])({monitor: [better]}) == ""
    assert "behind the median" in Pruner(rule, up, study, study.ask()[0])({monitor: [worse]})


def test_a_search_of_an_earlier_version_is_read() -> None:
    content = search().model_dump()
    del content["objective"], content["direction"], content["options"]["pruner"]["kind"]
    content["options"]["pruner"]["monitor"] = "val_loss"
    old = Search.model_validate(content)
    assert (old.objective, old.direction) == ("val/balanced_accuracy", "maximize")
    assert old.options.pruner is not None and old.options.pruner.monitor == "val/loss"

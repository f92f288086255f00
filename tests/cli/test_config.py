"""Configs are complete, typed and refuse mistakes all at once, in the user's own terms."""

import json
from pathlib import Path

import pytest
import yaml

from melanoma_exp import config
from melanoma_exp.cli import compose, help
from melanoma_exp.spec import UserError, validate
from melanoma_exp.system.installation import conf_folder

CONF = conf_folder()
OPTIONS = sorted(
    f"{group}={option}"
    for group in (*compose.groups(CONF), "hydra")
    for option, _ in help.option_files([CONF], group)
)
NEEDS = {"split=file": "split.path=split.csv", "tracking=server": "tracking.uri=http://localhost"}


def composed(*overrides: str) -> config.Experiment:
    return config.parse(compose.compose(CONF, list(overrides)))


def lines(*overrides: str) -> list[str]:
    with pytest.raises(UserError) as error:
        composed(*overrides)
    return list(error.value.lines)


# Launchers are Hydra's own group: they start jobs and are no part of an experiment.
@pytest.mark.parametrize("option", [o for o in OPTIONS if not o.startswith("hydra")])
def test_every_option_composes_and_parses(option: str) -> None:
    experiment = composed(option, *filter(None, [NEEDS.get(option)]))
    assert experiment.flat()["seed"] == 1


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_says_what_it_is_in_its_first_line(option: str) -> None:
    from melanoma_exp.cli import help

    path = CONF / Path(*option.split("=")).with_suffix(".yaml")
    assert len(help.summary(path)) > 10
    assert yaml.safe_load(path.read_text())


GROUPS = sorted({option.partition("=")[0] for option in OPTIONS} - {"hydra"})


@pytest.mark.parametrize("group", GROUPS)
def test_an_option_that_is_not_there_is_never_passed_over(group: str) -> None:
    found = lines(f"{group}=no_such")
    assert any(line.startswith(f"{group}=no_such: there is no such option") for line in found)


@pytest.mark.parametrize("word", ["experiment=null", "experiment=m1,null", "dataset=null"])
def test_a_group_is_not_null(word: str) -> None:
    (found,) = lines(word)
    assert found.startswith(f"{word}: a group cannot be null; leave it out")


def test_the_parsed_experiment_survives_its_own_json_unchanged() -> None:
    experiment = composed("model=m3", "augment=augmentor", "dataset.task=melanoma")
    assert config.parse_json(experiment.to_json()) == experiment


def test_augmentor_brings_the_published_balance_and_the_command_line_still_wins() -> None:
    assert composed("model=m3", "augment=augmentor").balance.model_dump()["count"] == 500
    assert composed("model=m3", "augment=augmentor", "balance=none").balance.kind == "none"


def test_recipes_are_the_published_stages() -> None:
    m1, m2, m3 = (composed(f"experiment={name}") for name in ("m1", "m2", "m3"))
    assert [e.train.epochs for e in (m1, m2, m3)] == [20, 20, 30]
    assert [e.augment.kind for e in (m1, m2, m3)] == ["none", "flip_rotate_zoom", "augmentor"]
    assert m3.balance.kind == "add_per_class"


def test_every_mistake_is_reported_at_once_with_the_nearest_thing_that_exists() -> None:
    found = lines("model=m9", "trian.epochs=3", "train.optimizer=adem", "seed=-1")
    assert any(line.startswith("model=m9: ") and "did you mean" in line for line in found)
    assert any("did you mean train.epochs?" in line for line in found)
    assert any("train.optimizer: should be one of adam" in line for line in found)
    assert any(line.startswith("seed: ") and "(got -1)" in line for line in found)
    assert len(found) == 4


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.dropout=1.7", "model.dropout: should be less than or equal to 0.99 (got 1.7)"),
        ("+train.epoch=2", "train.epoch: there is no such key; did you mean train.epochs?"),
        ("split.val=0", "split.val: should be greater than 0 (got 0)"),
        ("train.momentum=0.9", "train: momentum is for sgd and rmsprop (got adam)"),
        ("train.final_fraction=0.1", "train: final_fraction is not for schedule=constant"),
        ("dataset.image_size=[64]", "dataset.image_size.1: is missing"),
        ("model.padding=[same,same]", "model: padding: expected one value or 3 (got 2)"),
    ],
)
def test_a_wrong_value_is_named_with_its_key(override: str, line: str) -> None:
    assert lines(override) == [line]


def test_a_fold_out_of_range_and_a_missing_path_are_refused() -> None:
    assert lines("split=kfold", "split.fold=5") == [
        "split: fold 5 is out of range: 5 folds are 0..4"
    ]
    assert lines("split=file") == ["split.path: should be a path (got null)"]


def test_a_path_that_no_record_can_hold_is_refused_before_anything_runs() -> None:
    with pytest.raises(UserError) as refused:
        validate(config.Experiment, {"dataset": {"root": "caf\udce9"}, "inputs": ["a", "\udcff"]})
    assert refused.value.lines == (
        "dataset.root: 'caf\\udce9' is not in UTF-8; rename that file or folder",
        "inputs.1: '\\udcff' is not in UTF-8; rename that file or folder",
    )


def test_evening_classes_out_twice_is_refused_unless_forced() -> None:
    twice = ["balance=equalize", "balance.class_weight=balanced"]
    assert "twice" in lines(*twice)[0]
    assert composed(*twice, "balance.force=true").balance.kind == "equalize"


def test_the_digest_ignores_paths_and_bookkeeping_but_no_number() -> None:
    base = composed("dataset=isic9", "dataset.root=a")
    same = composed(
        "dataset=isic9",
        "dataset.root=b",
        "name=x",
        "tracking=off",
        "cache.dir=c",
        "evaluation.threshold.target=0.9",
    )
    other = composed("dataset=isic9", "dataset.root=a", "train.learning_rate=0.002")
    assert base.digest == same.digest != other.digest


@pytest.mark.parametrize(
    "wrong",
    [
        "evaluation.confidence=95",
        "evaluation.threshold.rule=youden",
        "evaluation.ages=[60,30]",
        "evaluation.prevalence.melanoma=0",
        "evaluation.resamples=10",
    ],
)
def test_an_evaluation_that_means_nothing_is_one_line(wrong: str) -> None:
    assert [line.startswith("evaluation") for line in lines(wrong)] == [True]


def test_the_flat_config_is_complete() -> None:
    experiment = composed("model=m2")
    flat = experiment.flat()
    assert json.loads(flat["model.filters"]) == [[16], [32], [64]]
    assert set(flat) >= {"train.plateau.factor", "dataset.max_pixels", "split.guard_test"}

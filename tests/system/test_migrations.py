"""What earlier versions recorded is read under today's keys, or refused in one line."""

import json
from pathlib import Path

import pytest

from melanoma_exp import __version__, config
from melanoma_exp.cli import compose
from melanoma_exp.spec import UserError
from melanoma_exp.system import migrations
from melanoma_exp.system.installation import conf_folder

OLD = Path(__file__).parent / "schema_0"  # demo runs of 0.1.0, as their artifacts have them
DIGESTS = {"m1": "80484d179c490508", "m2": "6d3c87eee6b6098a", "m3": "f5a213686fecb831"}  # tags

# Of m2 on other sets, before they were tables and had official validation parts.
SETS = {
    "ham10000": "10837e365c021f32",
    "isic9": "0d3d8463b64e36fb",
    "folder": "574369d3d456bfff",
}


def recorded(name: str) -> str:
    return (OLD / f"{name}.json").read_text()


def today(name: str) -> config.Experiment:
    words = [f"experiment={name}", "train.precision=float32"]
    return config.parse(compose.compose(conf_folder(), words))


@pytest.mark.parametrize("name", DIGESTS)
def test_a_recorded_run_of_the_first_version_is_the_recipe_of_today(name: str) -> None:
    assert config.parse_json(recorded(name)) == today(name)


@pytest.mark.parametrize("name", DIGESTS)
def test_an_experiment_keeps_the_digest_that_the_first_version_gave_it(name: str) -> None:
    assert today(name).digest == config.parse_json(recorded(name)).digest == DIGESTS[name]


def test_parameters_of_an_old_run_are_compared_under_todays_keys() -> None:
    params = json.loads((OLD / "m3_params.json").read_text())
    now = {key: str(value) for key, value in today("m3").flat().items()}
    assert migrations.upgrade_params(params) == now
    assert migrations.upgrade_params({"dataset.kind": "demo"}) == {"dataset.kind": "demo"}


def old_train(**more: object) -> config.Experiment:
    content = json.loads(recorded("m1"))
    content["train"] |= more
    return config.parse_json(json.dumps(content))


def test_losses_of_earlier_versions_are_options_now() -> None:
    smooth = old_train(label_smoothing=0.1).train.loss
    assert smooth.model_dump() == {"kind": "cross_entropy", "label_smoothing": 0.1}
    focal = old_train(focal_gamma=1.5)
    assert focal.train.loss.model_dump() == {"kind": "focal", "gamma": 1.5, "label_smoothing": 0.0}
    again = migrations.downgrade(focal.model_dump(mode="json"))["train"]
    assert (again["focal_gamma"], again["label_smoothing"]) == (1.5, 0.0) and "loss" not in again
    params = {"seed": "1", "train.focal_gamma": "1.5", "train.label_smoothing": "0.0"}
    assert (
        migrations.upgrade_params(params).items()
        >= {
            "train.loss.kind": "focal",
            "train.loss.gamma": "1.5",
            "train.loss.label_smoothing": "0.0",
        }.items()
    )


def test_class_weights_of_earlier_versions_act_from_the_start() -> None:
    content = json.loads(recorded("m1"))
    content["balance"] = {"kind": "class_weight", "scheme": "sqrt", "beta": 0.9}
    read = config.parse_json(json.dumps(content))
    assert read.balance.model_dump()["from_epoch"] == 1
    assert migrations.downgrade(read.model_dump(mode="json"))["balance"] == content["balance"]


def test_an_earlier_run_with_weight_decay_had_it_on_all_variables() -> None:
    decayed = old_train(optimizer="adamw", weight_decay=0.05)
    assert decayed.train.weight_decay_on == "all"
    kernels = decayed.train.model_copy(update={"weight_decay_on": "kernels"})
    assert decayed.digest != decayed.model_copy(update={"train": kernels}).digest
    assert "weight_decay_on" not in migrations.downgrade(decayed.model_dump(mode="json"))["train"]


def test_a_colour_step_of_an_earlier_run_had_no_gain() -> None:
    now = config.parse(compose.compose(conf_folder(), ["augment=compose"]))
    content = json.loads(now.to_json()) | {"schema_version": 1}
    colour = content["augment"]["steps"][1]
    assert colour.pop("gain") == [0.0, 0.0]
    old = migrations.upgrade(content, "")
    assert old["augment"] == now.model_dump(mode="json")["augment"]
    assert "gain" not in migrations.downgrade(old)["augment"]["steps"][1]
    params = {"seed": "1", "augment.steps": json.dumps(content["augment"]["steps"])}
    assert migrations.upgrade_params(params)["augment.steps"] == now.flat()["augment.steps"]
    gained = json.loads(now.to_json())
    gained["augment"]["steps"][1]["gain"] = [0.0, 0.1]
    assert config.parse_json(json.dumps(gained)).digest != now.digest


@pytest.mark.parametrize(("kind", "digest"), SETS.items())
def test_a_dataset_keeps_its_digest_and_its_records(kind: str, digest: str) -> None:
    words = ["experiment=m2", f"dataset={kind}", "dataset.root=a"]
    now = config.parse(compose.compose(conf_folder(), words))
    assert now.digest == digest
    content = json.loads(now.to_json())
    del content["split"]["official_val"]
    dataset = content["dataset"]
    if kind == "ham10000":  # as it was before it became a table
        gone = {*migrations.HAM10000, "table"}
        dataset = {key: value for key, value in dataset.items() if key not in gone}
        dataset["csv"] = "HAM10000_metadata.csv"
    else:
        del dataset["group_folders"], dataset["patient_column"]
    content["dataset"] = dataset
    assert config.parse_json(json.dumps(content)) == now
    if kind == "ham10000":
        as_text = {k: json.dumps(v) if isinstance(v, list) else str(v) for k, v in dataset.items()}
        params = {"seed": "1", **{f"dataset.{key}": value for key, value in as_text.items()}}
        read = migrations.upgrade_params(params).items()
        wanted = {k: str(v) for k, v in now.flat().items() if k.startswith("dataset.")}
        assert {k: v for k, v in read if k.startswith("dataset.")} == wanted


def test_what_is_written_now_is_read_back_and_names_its_version() -> None:
    experiment = today("m2")
    content = json.loads(experiment.to_json())
    assert content["schema_version"] == migrations.CURRENT
    assert content["melanoma_exp"] == __version__
    assert config.parse_json(experiment.to_json()) == experiment
    assert migrations.upgrade(content, "x") == experiment.model_dump(mode="json")


def test_a_run_of_this_schema_from_before_its_last_keys_is_read() -> None:
    experiment = today("m2")
    content = json.loads(experiment.to_json())
    assert content["schema_version"] == migrations.CURRENT
    del content["train"]["ema_bn_batches"]
    assert config.parse_json(json.dumps(content)) == experiment


@pytest.mark.parametrize("schema", [migrations.CURRENT + 1, -1, "2", None])
def test_a_schema_of_a_later_version_is_refused_by_its_name(schema: object) -> None:
    content = {**json.loads(today("m1").to_json()), "schema_version": schema}
    content["melanoma_exp"] = "9.8.7"
    with pytest.raises(UserError, match="^experiment.json: was written by melanoma_exp 9.8.7 "):
        config.parse_json(json.dumps(content))


def test_an_old_key_that_means_nothing_now_is_refused_with_the_version_that_wrote_it() -> None:
    content = json.loads(recorded("m1"))
    content["train"]["gone"] = 1
    with pytest.raises(UserError, match="written by melanoma_exp 0.1.0, .*train.gone: ") as refused:
        config.parse_json(json.dumps(content))
    assert len(refused.value.lines) == 1


@pytest.mark.parametrize("text", ["{", "[]", "null", '"x"'])
def test_a_file_that_holds_no_experiment_is_damaged(text: str) -> None:
    with pytest.raises(UserError, match="^experiment.json: is damaged"):
        config.parse_json(text)

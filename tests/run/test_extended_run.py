"""A run with a user's own network is recorded with it, and read only with the same file."""

import json
import shutil
from pathlib import Path

import extension
import pytest
from small_run import runs, store
from stopped_run import interrupt, same_weights
from sweeps import ended, jobs_csv, melanoma_exp

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.extensions import loading
from melanoma_exp.system.installation import conf_folder

OPTIONS = ["model=tiny", "augment=darker"]


class Kept:
    """A finished run, with its extension beside it."""

    def __init__(self, images: Path, place: Path) -> None:
        self.images, self.place = images, place
        self.lab = extension.write(place / "lab")
        with extension.forgotten():
            runner.run(self.experiment(), place / "job", {})
        (self.run,) = runs(place)
        self.id = self.run.info.run_id
        self.artifacts = Path(self.run.info.artifact_uri.removeprefix("file://"))

    def experiment(self, *more: str) -> config.Experiment:
        words = [f"extend={self.lab}", *OPTIONS, *extension.BASE, f"dataset.root={self.images}"]
        return config.parse(compose.compose(conf_folder(), [*words, *self.words(), *more]))

    def words(self) -> list[str]:
        return [f"tracking.folder={self.place / 'mlruns'}", f"cache.dir={self.place / 'cache'}"]

    def command(self, name: str, *words: object) -> None:
        with extension.forgotten():
            COMMANDS[name]([*map(str, words), *self.words()])

    def refusal(self, name: str, *words: object) -> str:
        with pytest.raises(UserError) as refused:
            self.command(name, *words)
        (line,) = refused.value.lines
        return line


@pytest.fixture(scope="module")
def kept(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(images, tmp_path_factory.mktemp("extended"))


@pytest.fixture
def elsewhere(kept: Kept, tmp_path: Path) -> Path:
    """The same file in another folder."""
    shutil.copytree(kept.lab.parent, tmp_path / "lab")
    return tmp_path / "lab" / "my_lab.py"


@pytest.fixture
def changed(elsewhere: Path) -> Path:
    """A file of the same name and other content."""
    elsewhere.write_text(extension.LAB + "# changed\n")
    return elsewhere


def test_the_record_holds_the_texts_and_their_digest(kept: Kept) -> None:
    for name in ("my_lab.py", "my_sizes.py"):
        recorded = kept.artifacts / "extensions" / name
        assert recorded.read_text() == kept.lab.with_name(name).read_text()
    assert "One convolution" not in (kept.artifacts / "experiment.json").read_text()
    line = kept.refusal("rerun", kept.id)
    assert line.startswith(
        "extend: the run uses augment=darker, model=tiny of the extension my_lab"
    )
    assert f"add extend={kept.lab}" in line


def test_a_rerun_with_the_same_file_ends_alike_and_is_compared_without_it(
    kept: Kept, elsewhere: Path, tmp_path: Path
) -> None:
    kept.command("rerun", kept.id, f"extend={elsewhere}")
    again = next(run for run in runs(kept.place) if run.data.tags.get("rerun_of") == kept.id)
    weights = Path(again.info.artifact_uri.removeprefix("file://")) / "model.weights.h5"
    assert same_weights(weights, kept.artifacts / "model.weights.h5")
    assert again.data.tags["config_digest"] == kept.run.data.tags["config_digest"]
    kept.command("compare", kept.id, again.info.run_id, "--out", tmp_path, "--images", "2")
    assert "tiny" in (tmp_path / "comparison.html").read_text()
    store(kept.place).delete_run(again.info.run_id)


@pytest.mark.parametrize("command", ["rerun", "resume", "predict", "export"])
def test_other_content_is_refused_with_both_digests(
    kept: Kept, changed: Path, command: str
) -> None:
    if command == "resume":
        store(kept.place).set_terminated(kept.id, "KILLED")
    more = {"predict": [kept.images], "export": ["--format", "keras"]}.get(command, [])
    try:
        line = kept.refusal(command, kept.id, *more, f"extend={changed}")
    finally:
        store(kept.place).set_terminated(kept.id, "FINISHED")
    with extension.forgotten():
        digest = loading.load(changed).sha256
    recorded = json.loads((kept.artifacts / "experiment.json").read_text())["extend"][0]
    assert line.startswith("extend: ") and digest in line and recorded["sha256"] in line


def test_predictions_need_the_network_alone(kept: Kept, elsewhere: Path, tmp_path: Path) -> None:
    assert "model=tiny" in kept.refusal("predict", kept.id, kept.images)
    kept.command(
        "predict", kept.id, kept.images, f"extend={elsewhere}", "--out", tmp_path / "a.csv"
    )
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 43
    with extension.forgotten():
        experiment = kept.experiment("model=m1", "model.filters=[[2]]", "model.dense=[4]")
        recorded = experiment.to_json()
    with extension.forgotten(), pytest.raises(UserError, match="augment=darker"):
        config.parse_json(recorded)
    with extension.forgotten():
        read = config.parse_json(recorded, needs={"model"})
        assert read.model == experiment.model and read.extend == experiment.extend
        assert json.loads(read.to_json()) == json.loads(recorded)


def test_an_interrupted_run_is_resumed_with_its_file_alone(
    images: Path, tmp_path: Path, kept: Kept, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = [f"tracking.folder={tmp_path / 'mlruns'}", f"cache.dir={tmp_path / 'cache'}"]
    with extension.forgotten():
        run_id = interrupt(kept.experiment(*storage), tmp_path, monkeypatch)
    with extension.forgotten(), pytest.raises(UserError, match="is not loaded; add extend="):
        COMMANDS["resume"]([run_id, *storage])
    with extension.forgotten():
        COMMANDS["resume"]([run_id, f"extend={elsewhere}", *storage])
    (run,) = runs(tmp_path)
    weights = Path(run.info.artifact_uri.removeprefix("file://")) / "model.weights.h5"
    assert run.info.status == "FINISHED"
    assert same_weights(weights, kept.artifacts / "model.weights.h5")


@pytest.mark.slow
def test_jobs_of_a_sweep_load_the_file_that_its_command_named(kept: Kept, tmp_path: Path) -> None:
    lab = extension.write(tmp_path / "lab")
    words = [*extension.BASE, f"dataset.root={kept.images}", f"cache.dir={kept.place / 'cache'}"]
    words += ["tracking=off", "model=tiny", "extend=lab/my_lab.py", "hydra.sweep.dir=sweep"]
    code, said = ended(melanoma_exp(tmp_path, "-m", *words, "seed=1,2", "dry_run=true"))
    assert code == 0, said
    assert [row["state"] for row in jobs_csv(tmp_path)] == ["finished", "finished"]
    (tmp_path / "sweep" / "1" / "status.json").unlink()
    lab.write_text(extension.LAB + "raise SystemExit(9)\n")
    code, said = ended(melanoma_exp(tmp_path, "resume-sweep", "sweep"))
    assert code == 2 and "is not what the run used" in said and "Traceback" not in said

"""A run that the first version recorded is resumed, repeated, used and compared today."""

import json
from pathlib import Path

import pytest
from small_run import experiment, runs
from stopped_run import interrupt, same_weights

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.run import runner
from melanoma_exp.system import migrations


def as_the_first_version_wrote_it(path: Path) -> None:
    content = json.loads(path.read_text())
    for key in (migrations.SCHEMA, migrations.VERSION):
        del content[key]
    old = migrations.downgrade(content)
    assert "extend" not in old and "batch" not in old["augment"]
    assert old["train"]["early_stopping"]["monitor"] == "val_loss"
    path.write_text(json.dumps(old, indent=2))


@pytest.mark.slow
def test_a_run_of_the_first_version_is_resumed_and_used(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = experiment(images, tmp_path)
    run_id = interrupt(asked, tmp_path, monkeypatch)
    words = [f"tracking.folder={tmp_path / 'mlruns'}", f"cache.dir={tmp_path / 'cache'}"]
    artifacts = Path(runs(tmp_path)[0].info.artifact_uri.removeprefix("file://"))
    as_the_first_version_wrote_it(artifacts / "experiment.json")
    (state,) = (tmp_path / "mlruns" / "checkpoints" / run_id).glob("experiment.json")
    as_the_first_version_wrote_it(state)
    COMMANDS["resume"]([run_id, *words])
    whole = tmp_path / "whole"
    runner.run(experiment(images, whole), whole / "job", {})
    expected = Path(runs(whole)[0].info.artifact_uri.removeprefix("file://"))
    assert same_weights(artifacts / "model.weights.h5", expected / "model.weights.h5")

    COMMANDS["predict"]([run_id, str(images), "--out", str(tmp_path / "list.csv"), *words])
    assert len((tmp_path / "list.csv").read_text().splitlines()) == 43
    COMMANDS["rerun"]([run_id, *words])
    again = next(run for run in runs(tmp_path) if run.data.tags.get("rerun_of") == run_id)
    assert again.data.tags["config_digest"] == asked.digest
    COMMANDS["compare"]([run_id, again.info.run_id, "--out", str(tmp_path / "out"), *words])
    assert "cannot read" not in (tmp_path / "out" / "comparison.html").read_text()

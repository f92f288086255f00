"""Every option of `conf/model` goes through the whole main job."""

import csv
import json
from pathlib import Path

import pytest
from main_job import ALL_FORMATS, main_job
from small_run import experiment, runs, store

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.report import model_card
from melanoma_exp.run import runner
from melanoma_exp.system.installation import conf_folder

TINY = {  # of 16x16 images
    "backbone": "levels=2 pool=avg_max normalize=true hidden=[4] drop_path=0.2",
    "resnet": "widths=[4,8] blocks=[1,1] strides=[1,2] stem.filters=4 squeeze_excitation=2 "
    "stochastic_depth=0.3 pool=avg_max",
    "resnet_small": "widths=[4,8] blocks=[1,1] strides=[1,2]",
}
OPTIONS = sorted(path.stem for path in (conf_folder() / "model").glob("*.yaml"))


def preset(folder: Path) -> Path:
    """Saves a small network with random weights as KerasHub saves them."""
    keras_hub = pytest.importorskip("keras_hub", reason="needs the extra `keras-hub`")
    keras_hub.models.VGGBackbone([1, 1], [4, 8]).save_to_preset(str(folder))
    scaling = {"config": {"scale": 1 / 255, "offset": None}}
    (folder / "image_converter.json").write_text(json.dumps(scaling))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("option", OPTIONS)
def test_a_model_option_runs_resumes_predicts_and_exports(
    option: str, images: Path, tmp_path: Path
) -> None:
    tiny = [f"model.{word}" for word in TINY.get(option, "").split()]
    if option == "keras_hub":
        tiny = [f"model.preset={preset(tmp_path / 'preset')}"]
    folder, run = main_job(tmp_path, images, f"model={option}", *tiny, formats=ALL_FORMATS)
    assert run.data.metrics["flops_per_image"] > 0 and run.data.metrics["parameters"] > 0
    assert option in (folder / "model_card.md").read_text()
    assert len(list((tmp_path / "out").iterdir())) == len(ALL_FORMATS.split())


def test_a_card_that_cannot_be_written_costs_no_model(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What training has led to is logged before anything is drawn or written about it."""
    with monkeypatch.context() as patch:
        patch.setattr(model_card, "write", lambda *_: 1 / 0)
        patch.setattr("melanoma_exp.report.results.record", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            runner.run(experiment(images, tmp_path), tmp_path / "job", {})
    (run,) = runs(tmp_path)
    assert run.info.status == "FAILED"
    assert "final/val/balanced_accuracy" in run.data.metrics
    client, storage = store(tmp_path), f"tracking.folder={tmp_path}/mlruns"
    logged = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"model.weights.h5", "decision.json"} <= logged
    assert len(client.search_logged_models([run.info.experiment_id])) == 1
    COMMANDS["resume"]([run.info.run_id, storage, f"cache.dir={tmp_path}/cache"])
    out = tmp_path / "worklist.csv"
    COMMANDS["predict"]([run.info.run_id, str(images), "--out", str(out), storage])
    with out.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(list(images.rglob("*.png")))

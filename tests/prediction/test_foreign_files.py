"""What is no run's file, and what is no number, is refused in one line and never answered."""

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from small_run import experiment

from melanoma_exp import config
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.prediction import saved_model, served_model, sources
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.prediction.predict import NO_NUMBER, Prediction, predict, predict_batch
from melanoma_exp.prediction.saved_model import SavedModel
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.spec import UserError


@pytest.fixture
def files(finished: Any, tmp_path: Path) -> dict[str, Path]:
    """Copies of the files a prediction needs."""
    return {
        name: Path(shutil.copy(finished[2] / name, tmp_path / name)) for name in saved_model.FILES
    }


def refused(files: dict[str, Path]) -> str:
    with pytest.raises(UserError) as error:
        saved_model.load("small", files)
    (line,) = error.value.lines
    assert "\n" not in line
    return line


def test_no_value_of_an_experiment_ends_in_a_traceback(images: Path, tmp_path: Path) -> None:
    whole = json.loads(experiment(images, tmp_path).to_json())
    odd: list[Any] = [None, [], {}, "x", -1, 1e308, [[]], {"kind": []}, 10**400, "\ud800"]

    def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        if not isinstance(node, dict | list):
            return []
        inner = node.items() if isinstance(node, dict) else enumerate(node)
        below = [((*path, k), v) for k, v in inner]
        return [path for path, _ in below] + [p for path, v in below for p in places(v, path)]

    for k, path in enumerate(places(whole)):
        for value in odd[k % 2 :: 2]:
            content = json.loads(json.dumps(whole))
            node = content
            for step in path[:-1]:
                node = node[step]
            node[path[-1]] = value
            try:
                config.parse_json(json.dumps(content))
            except UserError as error:
                assert all("\n" not in line for line in error.lines)


@pytest.mark.parametrize("name", saved_model.FILES)
def test_a_pipe_or_a_device_is_not_waited_for(files: dict[str, Path], name: str) -> None:
    files[name].unlink()
    os.mkfifo(files[name])
    assert f"{name}: cannot be read: is a pipe, not a file" in refused(files)
    files[name] = Path("/dev/zero")
    assert "is a device, not a file" in refused(files)


@pytest.mark.parametrize("name", ["experiment.json", "decision.json"])
def test_files_of_two_runs_are_not_mixed(files: dict[str, Path], name: str) -> None:
    content = json.loads(files[name].read_text())
    content["seed" if name == "experiment.json" else "temperature"] = 7
    files[name].write_text(json.dumps(content))
    assert f"{name}: is not the file this run wrote" in refused(files)
    # Runs of earlier versions recorded the weights' alone.
    described = Manifest.read(files["model.json"])
    old = replace(described, experiment_sha256=None, decision_sha256=None)
    files["model.json"].write_text(old.to_json())
    saved_model.load("small", files)


def test_weights_that_are_no_numbers_are_refused(files: dict[str, Path]) -> None:
    arrays: list[h5py.Dataset] = []
    with h5py.File(files["model.weights.h5"], "r+") as stored:
        stored.visititems(
            lambda _, node: arrays.append(node) if isinstance(node, h5py.Dataset) else None
        )
        one = next(array for array in arrays if array.ndim > 1)
        one[(0,) * one.ndim] = np.inf
    known = Manifest.read(files["model.json"]).classes
    files["model.json"].write_text(Manifest.of(known, files).to_json())
    assert "holds weights that are not numbers" in refused(files)


@pytest.fixture
def diverging(finished: Any) -> SavedModel:
    """A model whose output is not finite for a part of all pictures."""
    saved = saved_model.load("small", {name: finished[2] / name for name in saved_model.FILES})

    class Diverging(SavedModel):
        def logits(self, images: np.ndarray, metadata: Any = None) -> np.ndarray:
            logits = super().logits(images)
            bad = images.reshape(len(images), -1)[:, 0] % 3
            logits[bad == 1, 0] = np.nan
            logits[bad == 2, -1] = np.inf
            return logits

    return Diverging(**{name: getattr(saved, name) for name in SavedModel.__dataclass_fields__})


def test_not_finite_is_not_no(
    diverging: SavedModel, images: Path, finished: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(images.glob("*/*.png"))
    pixels = np.stack([diverging.decode(path) for path in paths])
    good = pixels.reshape(len(pixels), -1)[:, 0] % 3 == 0
    assert 0 < good.sum() < len(paths)
    predictions, failed = predict(diverging, paths)
    assert [p.path for p in predictions] == [p for p, one in zip(paths, good, strict=True) if one]
    assert {one.reason for one in failed} == {NO_NUMBER} and len(failed) == (~good).sum()
    alone = predict_batch(diverging, paths, pixels)
    assert [isinstance(one, Prediction) for one in alone] == good.tolist()
    worklist = Worklist.of("run", diverging, predictions, failed)
    shown = json.loads(worklist.to_json(), parse_constant=lambda name: pytest.fail(name))
    assert len(shown["unreadable"]) == (~good).sum()
    served = served_model.ServedModel()
    monkeypatch.setattr(saved_model, "load_light", lambda *_: diverging)
    served.load_context(type("Context", (), {"artifacts": {}}))
    answers = served.predict(None, pd.DataFrame({"image": [p.read_bytes() for p in paths]}))
    assert [answer["error"] is None for answer in answers] == good.tolist()
    assert all(set(a) == {"error", "notice"} for a in answers if a["error"])


def test_predict_names_what_is_no_file(finished: Any, images: Path, tmp_path: Path, capsys) -> None:
    workdir, run, _ = finished
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(images / "melanoma" / "melanoma0.png", folder / "a.png")
    os.mkfifo(folder / "pipe.jpg")
    (folder / "loop.png").symlink_to("loop.png")
    (folder / "folder.png").mkdir()
    words = [run.info.run_id, f"tracking.folder={workdir / 'mlruns'}", str(folder), "/dev/zero"]
    with pytest.raises(SystemExit) as ended:
        COMMANDS["predict"](words)
    shown = " ".join(capsys.readouterr().out.split())
    assert ended.value.code == 3 and "3 unreadable" in shown
    for reason in ("is a pipe, not a file", "symbolic links", "is a device, not a file"):
        assert reason in shown
    os.mkfifo(tmp_path / "list.csv")
    with pytest.raises(UserError, match=r"list\.csv: cannot be read: is a pipe"):
        COMMANDS["predict"]([run.info.run_id, str(tmp_path / "list.csv")])


def test_rerun_repeats_no_experiment_but_the_runs_own(finished: Any, tmp_path: Path) -> None:
    workdir, run, _ = finished
    shutil.copytree(workdir / "mlruns", tmp_path / "mlruns")
    folder = tmp_path / "mlruns" / "artifacts" / run.info.run_id / "artifacts"
    text = (folder / "experiment.json").read_text()
    (folder / "experiment.json").write_text(text.replace('"seed": 1', '"seed": 2'))
    with pytest.raises(UserError, match=r"experiment\.json: is not the file this run wrote"):
        COMMANDS["rerun"]([run.info.run_id, f"tracking.folder={tmp_path}/mlruns"])


def test_masks_among_the_images_are_named(tmp_path: Path) -> None:
    names = ["a.png", "a_segmentation.png", "masks/a.png", "unmasked/b.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = sources.find([tmp_path, tmp_path / "masks"])
    assert sorted(found.files) == sorted(tmp_path / name for name in names)
    assert sorted(found.masks) == [tmp_path / "a_segmentation.png", tmp_path / "masks" / "a.png"]
    assert not sources.find([tmp_path / "masks" / "a.png"]).masks  # named one by one

"""Without TensorFlow a run predicts what its Keras network does, or it leaves no light network."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from small_run import experiment

from melanoma_exp.models.inference import Inference
from melanoma_exp.prediction import light, manifest, saved_model
from melanoma_exp.prediction.manifest import LIGHT, Manifest
from melanoma_exp.prediction.predict import predict
from melanoma_exp.prediction.saved_model import SavedKerasModel
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.run import model_files, runner
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.off import FolderRun

ABSENT = ("tensorflow", "keras", "mlflow", "h5py", "sklearn", "scipy", "matplotlib", "pandas")
# As the command line does, in an interpreter that cannot import these.
CLI = """
import sys

sys.modules.update(dict.fromkeys(sys.argv.pop(1).split(","), None))
from melanoma_exp.__main__ import run

run()
"""


@pytest.fixture(scope="module")
def files(finished: Any) -> dict[str, Path]:
    """The files of the finished run, its light network among them."""
    return {name: finished[2] / name for name in (*saved_model.FILES, LIGHT)}


def numbers(content: Any) -> list[float]:
    """Returns all numbers of a JSON in order, and takes them out of it."""
    found = []
    for key, value in list(content.items() if isinstance(content, dict) else enumerate(content)):
        if isinstance(value, float):
            found.append(value)
            content[key] = None
        elif isinstance(value, dict | list):
            found += numbers(value)
    return found


def test_where_tensorflow_cannot_be_imported_the_worklist_is_that_of_keras(
    finished: Any, files: dict[str, Path], images: Path, tmp_path: Path
) -> None:
    workdir, run, _ = finished
    words = ["predict", run.info.run_id, str(images), f"tracking.folder={workdir / 'mlruns'}"]
    done = subprocess.run(
        [sys.executable, "-c", CLI, ",".join(ABSENT), *words, "--out", str(tmp_path / "a.json")],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    keras = saved_model.load(run.info.run_name, files)
    listed = Worklist.of(run.info.run_id, keras, *predict(keras, sorted(images.glob("*/*"))))
    found, wanted = json.loads((tmp_path / "a.json").read_text()), json.loads(listed.to_json())
    for content in (found, wanted):
        content["images"].sort(key=lambda one: one["path"])
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=0, atol=1e-6)
    assert found == wanted and len(found["images"]) == 42
    assert {one["alert"] for one in found["images"]} == {True, False}
    said = run.data.tags[model_files.TAG]
    assert said.startswith("probabilities differ by ") and said.endswith("validation images")


@pytest.mark.parametrize("views", ["flips", "dihedral"])
def test_views_are_inside_and_any_number_of_images_is_a_batch(
    files: dict[str, Path], views: str
) -> None:
    inference = Inference(views=views, scales=(1.0, 1.25), prior_correction="none")
    network = inference.wrap(saved_model.load("small", files).trained)
    converted = light.LightNetwork(light.convert(network))
    pixels = np.random.default_rng(1).integers(0, 256, (5, 16, 16, 3), np.uint8)
    for some in (pixels, pixels[:1], pixels[1:4]):
        found = converted.predict_on_batch(some)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, network.predict_on_batch(some), atol=1e-5)


def test_a_changed_file_is_refused_and_without_it_keras_predicts(
    files: dict[str, Path], tmp_path: Path
) -> None:
    assert not isinstance(saved_model.load_light("small", files), SavedKerasModel)
    changed = bytearray(files[LIGHT].read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / LIGHT).write_bytes(changed)
    with pytest.raises(UserError, match="model.tflite: is not the file this run wrote"):
        saved_model.load_light("small", {**files, LIGHT: tmp_path / LIGHT})
    without = {name: path for name, path in files.items() if name != LIGHT}
    assert isinstance(saved_model.load_light("small", without), SavedKerasModel)
    earlier = replace(Manifest.read(files[manifest.NAME]), light_sha256=None)
    (tmp_path / manifest.NAME).write_text(earlier.to_json())
    before = {**files, manifest.NAME: tmp_path / manifest.NAME}
    assert isinstance(saved_model.load_light("small", before), SavedKerasModel)


@pytest.fixture(scope="module")
def recorded(finished: Any, files: dict[str, Path], images: Path) -> SimpleNamespace:
    """What the record of a run is made of, and its trained network."""
    asked = experiment(images, finished[0])
    keras = saved_model.load("small", files)
    data = runner.prepare_data(asked)
    return SimpleNamespace(asked=asked, data=data, network=keras.trained, decision=keras.decision)


def kept(recorded: SimpleNamespace, folder: Path, **train: Any) -> tuple[bool, str]:
    """Records the files of a run; returns whether the light one is used, and what the tag says."""
    asked = recorded.asked.model_copy(
        update={"train": recorded.asked.train.model_copy(update=train)}
    )
    (folder / manifest.EXPERIMENT).write_text(asked.to_json())
    recorded.network.save_weights(folder / manifest.WEIGHTS)
    run = FolderRun(folder / "run")
    model_files.record(run, folder, asked, recorded.data, recorded.network, recorded.decision)
    said = json.loads((folder / "run" / "tags.json").read_text())[model_files.TAG]
    used = Manifest.read(folder / "run" / "artifacts" / manifest.NAME).light_sha256 is not None
    assert used == (folder / "run" / "artifacts" / LIGHT).exists()
    return used, said


def test_one_that_differs_or_cannot_be_written_is_not_kept_and_the_record_says_so(
    recorded: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folder(name: str) -> Path:
        (tmp_path / name).mkdir()
        return tmp_path / name

    assert kept(recorded, folder("same"))[0]
    used, said = kept(recorded, folder("bfloat16"), precision="bfloat16")
    assert not used and said == "none: the network computes in bfloat16, it would in float32"

    def broken(network: Any) -> bytes:
        raise NotImplementedError("no such layer\nat all")

    right = light.LightNetwork.predict_on_batch
    with monkeypatch.context() as patch:
        patch.setattr(light, "convert", broken)
        assert kept(recorded, folder("broken")) == (False, "none: no such layer")
    for wrong in (1e-4, np.nan):
        with monkeypatch.context() as patch:
            off = np.array([wrong, 0, 0], np.float32)
            patch.setattr(
                light.LightNetwork,
                "predict_on_batch",
                lambda self, x, off=off: right(self, x) + off,
            )
            used, said = kept(recorded, folder(f"wrong {wrong}"))
        assert not used and said.startswith("none: probabilities differ by ")

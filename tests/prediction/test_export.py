"""An exported network says what the run says, or is not left behind."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.cli.commands.export import NAMES
from melanoma_exp.prediction import export as exporting
from melanoma_exp.prediction import saved_model
from melanoma_exp.spec import UserError


def words(finished: Any, *more: object) -> list[str]:
    workdir, run, _ = finished
    return [run.info.run_id, f"tracking.folder={workdir / 'mlruns'}", *map(str, more)]


def test_the_verb_offers_every_format() -> None:
    assert tuple(exporting.FORMATS) == NAMES


def test_every_format_agrees_on_the_runs_validation_images(
    finished: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in ("onnxruntime", "tf2onnx"):
        if find_spec(package) is None:
            pytest.skip(f"needs the extra `export` ({package} is not installed)")
    chosen = [word for name in NAMES for word in ("--format", name)]
    COMMANDS["export"](words(finished, *chosen, "--out", tmp_path / "new"))
    name = f"{finished[1].info.run_name}-{finished[1].info.run_id[:8]}"
    made = {path.name for path in (tmp_path / "new").iterdir()}
    assert made == {name, f"{name}.keras", f"{name}.onnx", f"{name}.tflite"}
    printed = capsys.readouterr().out
    assert printed.count(": agrees: largest probability difference") == len(NAMES)
    assert "the run's own validation images" in printed and "not a medical device" in printed


def test_images_of_the_users_choice_are_compared(
    finished: Any, images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    COMMANDS["export"](
        words(finished, "--format", "keras", "--out", tmp_path, "--images", images / "melanoma")
    )
    assert f"compared on 14 images: {images / 'melanoma'}" in capsys.readouterr().out


def test_a_disagreeing_file_is_an_error_and_not_left_behind(
    finished: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    keras = exporting.FORMATS["keras"]

    def wrong(path: Path) -> exporting.Logits:
        right = keras.read(path)
        return lambda images: right(images) + np.eye(3, dtype=np.float32)[0] * 0.001

    monkeypatch.setitem(exporting.FORMATS, "keras", replace(keras, read=wrong))
    with pytest.raises(SystemExit) as ended:
        COMMANDS["export"](words(finished, "--format", "keras", "--out", tmp_path))
    assert ended.value.code == 1
    assert "keras: " in (printed := capsys.readouterr().out) and "DIFFERS, removed" in printed
    assert not list(tmp_path.iterdir())


def test_a_network_with_gelu_goes_to_onnx_and_stays_as_it_was(
    finished: Any, tmp_path: Path
) -> None:
    pytest.importorskip("tf2onnx", reason="needs the extra `export`")
    import keras

    saved = saved_model.load("small", {n: finished[2] / n for n in saved_model.FILES}, "float32")
    keras.utils.set_random_seed(1)
    net = keras.Sequential(
        [
            keras.Input((16, 16, 3), dtype="uint8"),
            keras.layers.Rescaling(1 / 32, -4.0),
            keras.layers.Flatten(),
            keras.layers.Dense(8, activation="gelu"),
            keras.layers.Activation("gelu"),
            keras.layers.Dense(3),
        ]
    )
    pixels = np.random.default_rng(1).integers(0, 256, (4, 16, 16, 3), np.uint8)
    before = np.asarray(net(pixels))
    done = exporting.export(replace(saved, network=net), "onnx", pixels, tmp_path / "a")
    assert done.agrees and done.path.is_file() and done.difference < 1e-5
    assert np.array_equal(net(pixels), before)
    assert net.layers[2].activation is keras.activations.gelu


def test_what_cannot_be_exported_is_one_line(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = saved_model.load("small", {n: finished[2] / n for n in saved_model.FILES}, "float32")
    pixels = np.zeros((1, 16, 16, 3), np.uint8)
    keras = exporting.FORMATS["keras"]

    def fails(*_: Any) -> Any:
        raise NotImplementedError("no such layer\nat all")

    for broken in ({"write": fails}, {"read": fails}):
        monkeypatch.setitem(exporting.FORMATS, "keras", replace(keras, **broken))
        with pytest.raises(UserError, match="keras cannot express this network: no such layer$"):
            exporting.export(saved, "keras", pixels, tmp_path / "a")
    monkeypatch.setitem(exporting.FORMATS, "keras", replace(keras, needs=("no_such_package",)))
    with pytest.raises(UserError, match=r"needs no_such_package; install .*\.\[export\]"):
        exporting.export(saved, "keras", pixels, tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_missing_dataset_asks_for_images(finished: Any, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match="^export: no readable image among 1 of"):
        COMMANDS["export"](words(finished, "--format", "keras", "--images", tmp_path / "text.png"))

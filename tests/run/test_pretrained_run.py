"""Runs from pretrained weights: who reads the file, and what identifies it."""

from pathlib import Path

import numpy as np
import pytest
from launched import command, run, weights
from small_run import overrides, runs

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.run import runner
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder


@pytest.fixture
def lite0(real_folder) -> Path:
    return real_folder("pretrained") / "efficientnet_lite0.npz"


@pytest.mark.slow
def test_a_run_reads_the_file_once_and_is_known_by_its_content(
    images: Path, lite0: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.npz"
    copy.write_bytes(lite0.read_bytes())
    usual = [w for w in overrides(images, tmp_path) if not w.startswith("model")]
    words = [*usual, "model=backbone", "train.epochs=1", "train.precision=float32"]
    asked = [
        config.parse(compose.compose(conf_folder(), [*words, f"model.weights={path}"]))
        for path in (lite0, copy)
    ]
    settled = [one.model_copy(update={"model": one.model.settle(False)}) for one in asked]
    assert settled[0].digest == settled[1].digest != asked[0].digest
    runner.run(asked[1], tmp_path / "job", {})
    (run,) = runs(tmp_path)
    assert run.data.params["model.weights_sha256"] == settled[0].model.weights_sha256
    assert run.data.tags["config_digest"] == settled[0].digest
    copy.unlink()  # the run has its own weights now
    storage, out = f"tracking.folder={tmp_path}/mlruns", tmp_path / "worklist.csv"
    COMMANDS["predict"]([run.info.run_id, str(images), "--out", str(out), storage])
    assert out.is_file()
    with pytest.raises(UserError, match="there is no file .*copy.npz"):
        COMMANDS["rerun"]([run.info.run_id, storage])
    copy.write_bytes(b"other")
    with pytest.raises(UserError, match="copy.npz has another content"):
        COMMANDS["rerun"]([run.info.run_id, storage])


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_and_replicas_start_from_the_same_pretrained_weights(
    images: Path, lite0: Path, tmp_path: Path
) -> None:
    """The learning rate is too small to move them."""
    more = [
        "model=backbone",
        f"model.weights={lite0}",
        "model.dropout=0.0",
        "train.precision=float32",
        "train.optimizer=sgd",
        "train.learning_rate=1e-12",
        "train.epochs=1",
    ]
    ended = []
    mirrored = ["distribution=mirrored", "distribution.virtual_cpus=true"]
    for name, verb, replicas in (
        ("one", [], []),
        ("two", ["launch", "--workers", "2"], []),
        ("mirrored", [], mirrored),
    ):
        words = [w for w in command(images, tmp_path / name) if not w.startswith("model")]
        run(tmp_path / name, verb, [*words, *more, *replicas])
        found = weights(tmp_path / name / "artifacts")
        ended.append({k: v for k, v in found.items() if v.ndim == 4})  # kernels
    for other in ended[1:]:
        assert ended[0] and all(np.allclose(v, other[k], atol=1e-6) for k, v in ended[0].items())
    with np.load(lite0) as archive:
        stem = archive["_conv_stem.weight"].transpose(2, 3, 1, 0)
    assert any(v.shape == stem.shape and np.allclose(v, stem, atol=1e-6) for v in ended[2].values())

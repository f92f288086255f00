"""Training resumes from any checkpoint bit for bit; checkpoints are whole or skipped."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from test_training import feeds, train_spec

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training import fit, process
from melanoma_exp.training.checkpoint import CheckpointStore, SavedCheckpoint
from melanoma_exp.training.interfaces import ProgressListener, Pruner
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.optim import compile_model
from melanoma_exp.training.signals import Interrupted, PrunedError, Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import History

# Everything that has state: dropout, batch normalisation, online draws, averaged weights, both
# watchers of the validation metrics, the best epoch's weights.
EVERYTHING = (
    "epochs=6",
    "batch_size=8",
    "ema=0.9",
    "keep=best",
    "schedule=plateau",
    "plateau.patience=1",
    "plateau.monitor=val/accuracy",
    "early_stopping.patience=3",
    "learning_rate=0.05",
)
PLAIN = (
    "epochs=3",
    "batch_size=8",
    "schedule=cosine",
    "optimizer=adamw",
    "learning_rate=0.01",
    "ema=0.9",
    "ema_bn_batches=2",
)
AVERAGED = (
    "epochs=4",
    "batch_size=8",
    "swa={from_epoch: 2, bn_batches: 2}",
    "keep=best",
    "schedule=one_cycle",
    "learning_rate=0.02",
)
NET = ["model=m2", "model.filters=[[4],[8]]", "model.dense=[8]", "model.norm=after_pool"]
TIMES = ("seconds", "images_per_second", "data/wait_share", "data/start_seconds")


class StopAt(ProgressListener):
    """Asks to stop after a step, or within the validation of an epoch."""

    def __init__(self, signals: Signals, epoch: int, step: int | None) -> None:
        self._signals, self._at = signals, (epoch, step)

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        if self._at == (epoch, step):
            self._signals.received = signal.SIGTERM


def train(
    spec: Train,
    folder: Path,
    stop: Callable[[Signals], Any] | None = None,
    saved: SavedCheckpoint | None = None,
    pruner: Pruner | None = None,
) -> tuple[list[np.ndarray], History]:
    process.prepare_process(spec, 1)
    images, val = feeds(spec.batch_size)
    model = config.parse(compose.compose(conf_folder(), NET)).model.build((16, 16, 3), 3)
    compile_model(model, spec, images.steps, ClassFrequencies.equal(3))
    signals = Signals()
    progress = stop(signals) if stop else None
    logged: dict[int, Any] = {}
    history = fit.fit(
        model,
        spec,
        images,
        val,
        signals,
        progress=progress,
        log=lambda metrics, epoch: logged.update({epoch: metrics}),
        store=CheckpointStore(folder),
        saved=saved,
        pruner=pruner,
    )
    assert sorted(logged) == list(range(1, len(history["val/loss"]) + 1))
    return [keras.ops.convert_to_numpy(v) for v in model.variables], history


def same(one: Any, other: Any) -> bool:
    weights = all(np.array_equal(a, b) for a, b in zip(one[0], other[0], strict=True))
    metrics = {k: v for k, v in one[1].items() if k not in TIMES}
    return weights and metrics == {k: v for k, v in other[1].items() if k not in TIMES}


@pytest.mark.parametrize(
    ("options", "stops"),
    [
        (EVERYTHING, [(2, 4), (3, 3)]),
        (AVERAGED, [(3, 4)]),
        pytest.param(PLAIN, [(1, 2), (2, 1)], marks=pytest.mark.slow),
    ],
    ids=["everything", "averaged", "cosine"],
)
def test_training_resumes_bit_for_bit_from_within_an_epoch_and_its_last_step(
    options: tuple[str, ...], stops: list[tuple[int, int]], tmp_path: Path
) -> None:
    begun = time.perf_counter()
    spec = train_spec(*options)
    whole = train(spec, tmp_path / "whole")
    for k, (epoch, step) in enumerate(stops):
        folder = tmp_path / str(k)
        with pytest.raises(Interrupted):
            train(spec, folder, lambda signals, at=(epoch, step): StopAt(signals, *at))
        saved = CheckpointStore(folder).newest()
        assert saved is not None and (saved.state["epoch"], saved.state["step"]) == (
            epoch - 1,
            step,
        )
        ended = train(spec, folder, saved=saved)
        assert same(whole, ended)
        assert sum(ended[1]["seconds"]) < time.perf_counter() - begun


def test_a_signal_during_validation_repeats_it_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = train_spec(*EVERYTHING)
    whole = train(spec, tmp_path / "whole")
    evaluate = keras.Model.evaluate
    count = []

    def asked(self: Any, *arguments: Any, **named: Any) -> Any:
        count.append(1)
        if len(count) == 2:
            named["callbacks"][0]._signals.received = signal.SIGTERM
        return evaluate(self, *arguments, **named)

    monkeypatch.setattr(keras.Model, "evaluate", asked)
    with pytest.raises(Interrupted):
        train(spec, tmp_path / "cut")
    monkeypatch.undo()
    saved = CheckpointStore(tmp_path / "cut").newest()
    assert saved is not None and (saved.state["epoch"], saved.state["step"]) == (1, 4)
    assert same(whole, train(spec, tmp_path / "cut", saved=saved))


def test_a_run_that_was_killed_before_it_heard_that_it_is_pruned_hears_it_at_once(
    tmp_path: Path,
) -> None:
    spec, heard = train_spec("epochs=3", "batch_size=8"), []

    def dies(history: History) -> str:
        raise SystemExit

    def prunes(history: History) -> str:
        heard.append(len(history["val/loss"]))
        return "it is behind"

    with pytest.raises(SystemExit):
        train(spec, tmp_path, pruner=dies)
    with pytest.raises(PrunedError, match="behind"):
        train(spec, tmp_path, saved=CheckpointStore(tmp_path).newest(), pruner=prunes)
    assert heard == [1]


@pytest.mark.slow
def test_every_checkpoint_of_a_run_leads_to_the_same_end(tmp_path: Path) -> None:
    spec = train_spec(*EVERYTHING, "checkpoint.every_steps=1")
    store = tmp_path / "store"
    save = CheckpointStore.save

    def save_and_copy(self: CheckpointStore, position: Any, *rest: Any, **named: Any) -> None:
        save(self, position, *rest, **named)
        newest = max(p for p in self.folder.iterdir())
        shutil.copytree(newest, store / newest.name / newest.name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointStore, "save", save_and_copy)
        whole = train(spec, tmp_path / "whole")
    folders = sorted(store.iterdir())
    assert len(folders) == 5 * len(whole[1]["val/loss"])
    for folder in folders[::3]:
        assert same(whole, train(spec, tmp_path / "again", saved=CheckpointStore(folder).newest()))


def test_the_last_two_and_the_best_are_kept_and_damage_falls_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    for epoch in range(1, 7):
        store.save((epoch, 0), {"a": np.full(5, epoch)}, {"epoch": epoch}, best=(2, 0))
    names = sorted(p.name for p in tmp_path.iterdir())
    assert [n[:12] for n in names] == ["epoch-000002", "epoch-000005", "epoch-000006"]
    newest = store.newest()
    assert newest is not None and newest.state["epoch"] == 6 and not newest.skipped
    arrays = tmp_path / names[2] / "arrays.npz"
    arrays.write_bytes(arrays.read_bytes()[:-7])
    newest = store.newest()
    assert newest is not None and newest.state["epoch"] == 5
    assert "epoch-000006" in newest.skipped[0] and "damaged" in newest.skipped[0]
    (tmp_path / names[1] / "state.json").write_text("{}")
    newest = store.newest()
    assert newest is not None and newest.state["epoch"] == 2 and len(newest.skipped) == 2
    (tmp_path / names[0] / "SHA256SUMS").unlink()
    assert store.newest() is None


def test_a_full_disk_lets_training_go_on_and_the_last_checkpoint_stays(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a small disk can only be mounted by root")
    warned: list[str] = []

    class FillsUp(ProgressListener):
        def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
            if (epoch, step) == (2, 1):
                with pytest.raises(OSError, match="No space"):
                    (small / "filler").write_bytes(b"0" * 400_000)

        def warn(self, line: str) -> None:
            warned.append(line)

    try:
        _, history = train(train_spec(*PLAIN), small / "run", lambda _: FillsUp())
        assert len(history["val/loss"]) == 3
        assert len(warned) == 1 and "No space left on device" in warned[0]
        saved = CheckpointStore(small / "run").newest()
        assert saved is not None and saved.state["epoch"] == 1 and not saved.skipped
    finally:
        subprocess.run(["umount", str(small)], check=True)

"""The share of time that the model waits for data is measured, logged and shown."""

import io
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from test_checkpoint import train
from test_training import feeds, train_spec

from melanoma_exp.data.loader import Loader
from melanoma_exp.data.prefetch import prefetched
from melanoma_exp.report import console
from melanoma_exp.training import process
from melanoma_exp.training.data_wait import DataWait


def slow(batches: int, seconds: float) -> tf.data.Dataset:
    def make(number: int) -> np.ndarray:
        time.sleep(seconds)
        return np.full(2, number)

    return tf.data.Dataset.range(batches).map(lambda n: (tf.numpy_function(make, [n], tf.int64), n))


def test_the_wait_is_what_passes_between_asking_and_having() -> None:
    waits = DataWait()
    started = time.perf_counter()
    seen = [(pair.numpy().tolist(), int(n)) for pair, n in waits.measure(slow(6, 0.1))]
    passed = time.perf_counter() - started
    assert seen == [([k, k], k) for k in range(6)]
    assert waits.batches == 6 and waits.first >= 0.1
    assert 0.5 <= waits.later < passed - waits.first


def test_batches_that_are_ready_are_not_waited_for() -> None:
    waits = DataWait()
    ready = slow(6, 0.05).cache()
    assert len(list(ready)) == 6
    for _ in waits.measure(ready):
        time.sleep(0.1)
    assert waits.later < 0.25


def test_a_slow_input_path_shows_in_the_figures_of_every_epoch(tmp_path: Path, monkeypatch) -> None:
    spec = train_spec("epochs=2", "batch_size=8")
    _, quick = train(spec, tmp_path / "quick")
    batch = Loader.batch

    def slowly(self: Loader, epoch: int, step: int) -> tuple:
        time.sleep(0.5 * (self.seed is not None))
        return batch(self, epoch, step)

    monkeypatch.setattr(Loader, "batch", slowly)
    _, slow = train(spec, tmp_path / "slow")
    assert slow["train/loss"] == quick["train/loss"]
    assert 0 <= quick["data/wait_share"][1] < slow["data/wait_share"][1] < 1
    assert slow["data/wait_share"][1] > 0.2 and slow["data/start_seconds"][1] >= 0.5


def test_batches_are_made_while_the_model_is_at_work_with_determinism_too(monkeypatch) -> None:
    process.prepare_process(train_spec("deterministic=true"), 1)
    batch = Loader.batch

    def slowly(self: Loader, epoch: int, step: int) -> tuple:
        time.sleep(0.2)
        return batch(self, epoch, step)

    loader, _ = feeds(3)
    expected = [batch(loader, 2, k)[0] for k in range(3, 10)]
    monkeypatch.setattr(Loader, "batch", slowly)
    waits, seen = DataWait(), []
    for images, _, _ in waits.measure(loader.dataset(2, 3)):
        seen.append(images.numpy())
        time.sleep(0.4)
    assert len(seen) == 7 and all(map(np.array_equal, seen, expected))
    assert waits.first >= 0.2 and waits.later < 0.6  # 1.2 one after the other


def test_an_epoch_that_has_ended_keeps_nobody_waiting() -> None:
    """With tf.data's tuner on, some end only at its next turn, later than the epoch took."""
    spec = tf.TensorSpec((None,), tf.float32)
    for _ in range(8):
        ahead = prefetched(lambda step: (np.zeros(2, np.float32),), 0, 10, [spec])
        batches = iter(DataWait().measure(ahead))
        for _ in batches:
            time.sleep(0.1)
        began = time.perf_counter()
        del batches
        assert time.perf_counter() - began < 0.2


def test_the_screen_tells_it_above_three_percent_with_one_hint() -> None:
    out = io.StringIO()
    figures = {"train/loss": 1.0, "images_per_second": 9.0}
    with console.Screen(Console(file=out, width=200), epochs=9, steps=4) as screen:
        for epoch, share in enumerate((0.029, 0.12, 0.2), 1):
            screen.epoch(epoch, {**figures, "data/wait_share": share})
    lines = [line for line in out.getvalue().splitlines() if line]
    assert "waited" not in lines[0] and "waited for data 12%" in lines[1]
    assert lines[2].startswith("note the images come too slowly") and len(lines) == 4


@pytest.mark.parametrize("before", [0, 10])
def test_the_time_left_is_estimated_from_the_steps_seen_not_from_a_resumed_run(
    before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, clock = io.StringIO(), [100.0]
    monkeypatch.setattr(console.time, "monotonic", lambda: clock[0])
    figures = {"train/loss": 1.0, "images_per_second": 9.0}
    with console.Screen(Console(file=out, width=200), epochs=20, steps=4) as screen:
        if before:  # its last epoch lacked the validation alone
            screen.epoch(before, figures)
        for step in range(1, 5):
            clock[0] += 1.0
            screen.step(before + 1, step, 1.0, 0.5)
        screen.epoch(before + 1, figures)
    lines = [line for line in out.getvalue().splitlines() if line]
    assert lines[-1].endswith(f"{(19 - before) * 4} s left")
    assert not before or "left" not in lines[0]

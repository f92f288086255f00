"""Several processes train as one would, and one that is lost is named; the run then goes on."""

import os
import random
import re
import signal
import time
from pathlib import Path

import pytest
from launched import command, difference, figures, run, start, wait_for_epoch, worker

CLOSE = 1e-5
# The last batches have fewer rows than the others, and fewer than four; masks and draws are used.
HARD = [
    "train.batch_size=9", "train.epochs=3", "augment=dihedral", "balance=class_weight",
    "model.dropout=0.2", "model.dense_dropout=0.5", "train.clip_norm=0.5",
]  # fmt: skip
LONG = [*HARD, "train.epochs=8", "train.checkpoint.every_steps=2"]


def test_two_workers_end_as_one_process_does(images: Path, tmp_path: Path) -> None:
    run(tmp_path / "one", [], command(images, tmp_path / "one", *HARD))
    said = run(
        tmp_path / "two", ["launch", "--workers", "2"], command(images, tmp_path / "two", *HARD)
    )
    assert max(difference(tmp_path / "one", tmp_path / "two")) < CLOSE
    assert len(figures(tmp_path / "two")["val/loss"]) == 3
    assert (tmp_path / "two" / "worker-1.log").read_text() == ""
    assert said.count("epoch 3/3") == 1


@pytest.mark.slow
def test_four_workers_end_as_one_process_does(images: Path, tmp_path: Path) -> None:
    more = [*HARD, "train.optimizer=sgd", "train.momentum=0.9", "train.ema=0.9"]
    run(tmp_path / "one", [], command(images, tmp_path / "one", *more))
    run(tmp_path / "four", ["launch", "--workers", "4"], command(images, tmp_path / "four", *more))
    assert max(difference(tmp_path / "one", tmp_path / "four")) < CLOSE


@pytest.mark.slow
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_named_and_the_run_goes_on_to_the_same_end(
    images: Path, tmp_path: Path, lost: int, how: int
) -> None:
    whole, place = tmp_path / "whole", tmp_path / "killed"
    verb = ["launch", "--workers", "2"]
    run(whole, verb, command(images, whole, *LONG))
    launched = start(place, verb, command(images, place, *LONG))
    wait_for_epoch(place, 1, launched)
    time.sleep(random.Random(lost).uniform(0, 1))
    victim = worker(launched, lost)
    others = [worker(launched, 1 - lost)]
    began = time.monotonic()
    os.kill(victim.pid, how)
    while any(process.is_running() and process.status() != "zombie" for process in others):
        time.sleep(0.2)
    assert time.monotonic() - began < 60
    if how == signal.SIGSTOP:
        os.kill(victim.pid, signal.SIGKILL)
    assert launched.wait() not in (0, 2)
    said = (place / ("worker-1.log" if lost == 0 else "out.txt")).read_text()
    lines = [line for line in said.splitlines() if line.startswith("distribution: worker")]
    assert len(lines) == 1 and re.match(rf"distribution: worker {lost} \(127.0.0.1:\d+\)", lines[0])
    assert "Traceback" not in said
    run(place, verb, command(images, place, *LONG))
    told, weights = difference(whole, place)
    # Of an epoch that was gone on with the running sums are divided among the workers anew.
    assert weights == 0 and told < CLOSE


@pytest.mark.slow
def test_launch_starts_again_by_itself(images: Path, tmp_path: Path) -> None:
    whole, place = tmp_path / "whole", tmp_path / "killed"
    verb = ["launch", "--workers", "2", "--restarts", "1"]
    run(whole, verb, command(images, whole, *LONG))
    launched = start(place, verb, command(images, place, *LONG))
    wait_for_epoch(place, 2, launched)
    worker(launched, 1).kill()
    assert launched.wait() == 0
    assert "launch: starting again, 1 of 1" in (place / "out.txt").read_text()
    told, weights = difference(whole, place)
    # Of an epoch that was gone on with the running sums are divided among the workers anew.
    assert weights == 0 and told < CLOSE


@pytest.mark.slow
def test_ctrl_c_stops_all_workers_at_the_same_step(images: Path, tmp_path: Path) -> None:
    place, verb = tmp_path / "stopped", ["launch", "--workers", "2"]
    launched = start(place, verb, command(images, place, *LONG))
    wait_for_epoch(place, 1, launched)
    launched.send_signal(signal.SIGINT)
    assert launched.wait() == 130
    assert "interrupted: what was logged so far is kept" in (place / "out.txt").read_text()
    assert "distribution:" not in (place / "worker-1.log").read_text()

"""Several processes train as one would, and one that is lost is named; the run then goes on."""

import os
import random
import re
import shlex
import signal
import time
from pathlib import Path
from typing import Any

import extension
import psutil
import pytest
from launched import apart, command, difference, figures, run, start, wait_for_epoch, worker
from small_run import runs, store

CLOSE = 1e-5
TWO = ["launch", "--workers", "2"]
# 24 images: parts of unequal size, and a smaller last batch. Masks, draws and the statistics of
# batches are used; of one row or two these would make much of a last digit (see replicas.py).
HARD = [
    "train.batch_size=9",
    "train.epochs=3",
    "augment=dihedral",
    "balance=class_weight",
    "model.dropout=0.2",
    "model.dense_dropout=0.5",
    "train.clip_norm=0.5",
    "model.norm=before_pool",
]
PHASES = (
    "train.fine_tuning={head_epochs: 1, trainable_stages: 3, layer_decay: 0.7, "
    "unfreeze_every: 1, freeze_norm: false}"
)
LONG = [*HARD, "train.epochs=8", "train.checkpoint.every_steps=2"]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("augment=mixup", "train.fused=false"),
        ("train.features={views: 3, seed: 7}",),
        (PHASES, "train.optimizer=adamw", "train.ema=0.9"),
    ],
)
def test_two_workers_end_as_one_process_does(
    images: Path, tmp_path: Path, changes: tuple[str, ...]
) -> None:
    words = [*HARD, "train.early_stopping.monitor=val/log_loss", *changes]
    run(tmp_path / "one", [], command(images, tmp_path / "one", *words))
    said = run(tmp_path / "two", TWO, command(images, tmp_path / "two", *words))
    assert max(difference(tmp_path / "one", tmp_path / "two")) < CLOSE
    one, two = (figures(tmp_path / name)["val/log_loss"] for name in ("one", "two"))
    assert two == pytest.approx(one, abs=CLOSE) and len(two) == 3
    assert len(figures(tmp_path / "two")["val/loss"]) == 3
    assert (tmp_path / "two" / "worker-1.log").read_text() == ""
    assert said.count("epoch 3/3") == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_an_extension_joins_every_worker(images: Path, tmp_path: Path) -> None:
    extension.write(tmp_path / "lab")
    options = ["extend=lab/my_lab.py", "model=tiny", "augment=darker", "tracking=off"]
    words = [*extension.BASE, *options, f"dataset.root={images}", f"cache.dir={tmp_path / 'cache'}"]
    one, two = (tmp_path / name for name in ("one", "two"))
    run(one, [], [*words, f"hydra.run.dir={one}"])
    run(two, TWO, [*words, f"hydra.run.dir={two}"])
    assert max(difference(one, two)) < CLOSE
    assert (two / "artifacts" / "extensions" / "my_lab.py").read_text() == extension.LAB


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_four_workers_end_as_one_process_does(images: Path, tmp_path: Path) -> None:
    more = [*HARD, "train.optimizer=sgd", "train.momentum=0.9", "train.ema=0.9"]
    more += ["model.norm=none", "train.batch_size=23"]  # in the last batch three have no row
    run(tmp_path / "one", [], command(images, tmp_path / "one", *more))
    run(tmp_path / "four", ["launch", "--workers", "4"], command(images, tmp_path / "four", *more))
    assert max(difference(tmp_path / "one", tmp_path / "four")) < CLOSE


@pytest.fixture(scope="module")
def whole(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a long run that lost nobody."""
    place = tmp_path_factory.mktemp("undisturbed") / "whole"
    run(place, TWO, command(images, place, *LONG))
    return place


def ended(processes: list[psutil.Process], within: float) -> bool:
    """Whether all of these are gone in time; those that are not are killed."""
    _, left = psutil.wait_procs(processes, within)
    left = [process for process in left if process.status() != "zombie"]
    for process in left:
        process.kill()
    return not left


def one_run(place: Path) -> tuple[Any, list[int]]:
    """Returns the only run of a store and the epochs of its figures, in their order."""
    (found,) = runs(place)
    points = store(place).get_metric_history(found.info.run_id, "val/loss")
    return found, [point.step for point in points]


def artifacts(found: Any) -> Path:
    return Path(found.info.artifact_uri.removeprefix("file://"))


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("lost", [0, 1])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_lost_worker_is_named_and_the_run_resumes_to_the_same_end(
    images: Path, tmp_path: Path, whole: Path, lost: int, how: int
) -> None:
    place = tmp_path / "killed"
    launched = start(place, TWO, command(images, place, *LONG))
    wait_for_epoch(place, 1, launched)
    time.sleep(random.Random(lost).uniform(0, 1))
    victim, other = worker(launched, lost), worker(launched, 1 - lost)
    os.kill(victim.pid, how)
    assert ended([other], 60)
    if how == signal.SIGSTOP:
        os.kill(victim.pid, signal.SIGKILL)
    # SIGKILL is seen at once; of a frozen one the other is the first to end, with code 3.
    assert launched.wait() == (137 if how == signal.SIGKILL else 3)
    said = (place / ("worker-1.log" if lost == 0 else "out.txt")).read_text()
    lines = [line for line in said.splitlines() if line.startswith("distribution: worker")]
    assert len(lines) == 1 and re.match(rf"distribution: worker {lost} \(127.0.0.1:\d+\)", lines[0])
    again = f"the same command and hydra.run.dir={place}"
    assert lines[0].endswith(f"resume on every worker with: {again}")
    assert f"launch: resume with: {again}" in (place / "out.txt").read_text()
    assert "Traceback" not in said
    run(place, TWO, command(images, place, *LONG))
    told, weights = difference(whole, place)
    # Of an epoch that was gone on with the running sums are divided among the workers anew.
    assert weights == 0 and told < CLOSE


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("lost", [0, 1])
def test_launch_starts_again_by_itself(
    images: Path, tmp_path: Path, whole: Path, lost: int
) -> None:
    place = tmp_path / "killed"
    words = command(images, place, *LONG, tracked=True)
    launched = start(place, [*TWO, "--restarts", "1"], words)
    wait_for_epoch(place, 2, launched)
    time.sleep(random.uniform(0, 1))
    worker(launched, lost).kill()
    assert launched.wait() == 0
    said = (place / "out.txt").read_text()
    assert f"launch: worker {lost} was killed by signal 9" in said
    assert "launch: starting again, 1 of 1" in said
    found, epochs = one_run(place)
    assert found.info.status == "FINISHED" and epochs == list(range(1, 9))
    assert apart(whole / "artifacts", artifacts(found)) == 0
    told = said if lost == 1 else (place / "worker-1.log").read_text()
    again = f"melanoma-exp resume {found.info.run_id} tracking.folder={place}/mlruns"
    assert f"resume on every worker with: {again}\n" in told


@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_launcher_and_the_run_is_resumed_as_printed(
    images: Path, tmp_path: Path, whole: Path, how: int
) -> None:
    place = tmp_path / "stopped"
    launched = start(place, TWO, command(images, place, *LONG, tracked=True))
    wait_for_epoch(place, 2, launched)
    workers = psutil.Process(launched.pid).children(recursive=True)
    launched.send_signal(how)
    assert launched.wait() == (-9 if how == signal.SIGKILL else 128 + how)
    assert ended(workers, 60)
    said = (place / "out.txt").read_text()
    assert "interrupted: what was logged so far is saved" in said and "Traceback" not in said
    assert "distribution:" not in said + (place / "worker-1.log").read_text()
    found, epochs = one_run(place)
    number = found.info.run_id
    assert found.info.status == "KILLED" and epochs == list(range(1, len(epochs) + 1))
    assert len(epochs) < 8 and list((place / "mlruns" / "checkpoints" / number).glob("epoch-*"))
    if how == signal.SIGKILL:
        return
    (again,) = re.findall(r"^launch: resume with: melanoma-exp (.*)$", said, re.M)
    words = shlex.split(again)
    assert words[:5] == [*TWO, "resume", number] and f"tracking.folder={place}/mlruns" in words
    run(place, words, [])
    found, epochs = one_run(place)
    assert found.info.status == "FINISHED" and epochs == list(range(1, 9))
    assert apart(whole / "artifacts", artifacts(found)) == 0

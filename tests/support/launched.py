"""Trainings on several processes of this machine, for tests: started as a user would."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import psutil
from small_run import overrides

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}


def command(images: Path, place: Path, *more: str, tracked: bool = False) -> list[str]:
    """Returns the words of a run of its own folder, with its own store or none."""
    tracking = [] if tracked else ["tracking=off"]
    words = overrides(images, place, *tracking, f"cache.dir={place.parent / 'cache'}", *more)
    return [*words, f"hydra.run.dir={place}"]


def start(place: Path, verb: list[str], words: list[str]) -> subprocess.Popen:
    place.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", *verb, *words],
        cwd=place.parent,
        env=ENVIRONMENT,
        stdout=(place / "out.txt").open("a"),
        stderr=subprocess.STDOUT,
    )


def run(place: Path, verb: list[str], words: list[str]) -> str:
    done = start(place, verb, words)
    code, said = done.wait(), (place / "out.txt").read_text()
    assert code == 0, said
    return said


def figures(place: Path) -> dict[str, list[float]]:
    """Returns the series of an untracked run, times left out."""
    series: dict[str, list[float]] = {}
    for line in (place / "metrics.jsonl").read_text().splitlines():
        content = json.loads(line)
        if content.pop("step") is not None:
            for name, value in content.items():
                if name.startswith(("train/", "val/", "learning_rate")):
                    series.setdefault(name, []).append(value)
    return series


def weights(artifacts: Path) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def take(name: str, node: Any) -> None:
        if isinstance(node, h5py.Dataset):
            found[name] = node[()]

    with h5py.File(artifacts / "model.weights.h5") as file:
        file.visititems(take)
    return found


def difference(one: Path, other: Path) -> tuple[float, float]:
    """Returns the largest difference of two runs' figures of epochs, and of their weights."""
    ours, theirs = figures(one), figures(other)
    assert ours and ours.keys() == theirs.keys()
    assert {len(values) for values in ours.values()} == {len(v) for v in theirs.values()}
    told = max(float(np.abs(np.subtract(ours[k], theirs[k])).max()) for k in ours)
    return told, apart(one / "artifacts", other / "artifacts")


def apart(one: Path, other: Path) -> float:
    """Returns the largest difference of the weights among the artifacts of two runs."""
    mine, yours = weights(one), weights(other)
    assert mine.keys() == yours.keys()
    return max(float(np.abs(mine[k] - yours[k]).max()) for k in mine)


def worker(launched: subprocess.Popen, index: int) -> psutil.Process:
    """Returns a worker's process."""
    for process in psutil.Process(launched.pid).children():
        if json.loads(process.environ()["TF_CONFIG"])["task"]["index"] == index:
            return process
    raise LookupError(index)


def wait_for_epoch(place: Path, epoch: int, launched: subprocess.Popen) -> None:
    """Returns once the epoch has been logged, and told."""
    while launched.poll() is None:
        if f"epoch {epoch}/" in (place / "out.txt").read_text():
            return
        time.sleep(0.05)
    raise AssertionError((place / "out.txt").read_text())

"""What a training step costs: this framework, the notebook way and PyTorch, side by side.

    python benchmarks/training.py                               # drawn lesions at 180x180
    python benchmarks/training.py dataset=isic9 dataset.root=DIR
    python benchmarks/training.py --repeats 3 --images 256 --stages m1,m2 train.precision=auto

Every way is a process of its own (`ways_keras.py`, `ways_torch.py`) that trains one epoch over the
same images each time it is its turn; the turns alternate, so that what else the machine does meets
all of them. Ratios are medians over the rounds. CPU time is of all threads and worker processes.
PyTorch is no dependency; its column needs

    pip install torch==2.13.0
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import ways

from melanoma_exp.models.flops import measure as measure_cost
from melanoma_exp.system import provenance

HERE = Path(__file__).parent
SCRIPTS = {
    "product": "ways_keras.py",
    "notebook": "ways_keras.py",
    "peak": "ways_keras.py",
    "torch": "ways_torch.py",
}
INSTALL = "pip install torch==2.13.0"
TARGETS = {
    ("m1", "notebook"): 1.9,
    ("m2", "notebook"): 2.4,
    ("m1", "torch"): 1.5,
    ("m2", "torch"): 1.5,
}
# Epochs, training and validation images of the published study's stages.
STUDY = {"m1": (20, 1792, 447), "m2": (20, 1792, 447), "m3": (30, 5392, 1347)}


class Worker:
    """A process that trains an epoch whenever it is asked to."""

    def __init__(self, way: str, words: list[str]) -> None:
        """Starts it and waits until it has built its model and trained a first epoch."""
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / SCRIPTS[way]), way, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        self.facts = self._answer()

    def turn(self) -> dict[str, Any]:
        """Has it train one epoch; returns `cpu` and `wall` seconds and `images` or `flops`."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()
        return self._answer()

    def end(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self._process.args} ended early")


def measure(stage: str, names: list[str], given: argparse.Namespace) -> dict[str, Any]:
    """Returns for each way its facts and turns."""
    words = [str(given.images), f"experiment={stage}", *given.overrides]
    workers = {name: Worker(name, words) for name in names}
    turns: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(given.repeats):
        for name, worker in workers.items():
            turns[name].append(worker.turn())
    for worker in workers.values():
        worker.end()
    return {n: {"facts": workers[n].facts, "turns": turns[n]} for n in names}


def table(stage: str, found: dict[str, Any], flops: int) -> tuple[list[str], dict[str, float]]:
    """Returns the lines of a stage's table and how many times cheaper the product is."""
    peaks = found["peak"]["turns"]
    peak = {
        kind: median(turn["flops"][kind] / turn["cpu"][kind] / 1e9 for turn in peaks)
        for kind in peaks[0]["flops"]
    }
    lines = [
        "",
        f"### {stage}, {flops / 1e6:.0f} MFLOP an image and step; peak of large matrix products: "
        + ", ".join(f"{value:.0f} GFLOP a CPU-second in {kind}" for kind, value in peak.items()),
        "",
        "| way | precision | CPU-ms an image (range) | images/s | GFLOP a CPU-s | of peak "
        "| start, CPU-s | CPU, times the product's (range) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    ratios = {}
    mine = [turn["cpu"] / turn["images"] for turn in found["product"]["turns"]]
    for name in (n for n in found if n != "peak"):
        facts, turns = found[name]["facts"], found[name]["turns"]
        cpu = [turn["cpu"] / turn["images"] for turn in turns]
        speed = median(turn["images"] / turn["wall"] for turn in turns)
        rate = flops / median(cpu) / 1e9
        each = [theirs / ours for theirs, ours in zip(cpu, mine, strict=True)]
        ratios[name] = median(each)
        lines.append(
            f"| {name} | {facts['precision']} | {1000 * median(cpu):.1f} "
            f"({1000 * min(cpu):.1f}-{1000 * max(cpu):.1f}) | {speed:.0f} | {rate:.1f} "
            f"| {rate / peak[facts['precision']]:.0%} | {facts['start_cpu']:.0f} "
            f"| {ratios[name]:.2f} ({min(each):.2f}-{max(each):.2f}) |"
        )
    shares = [turn["waited"] / turn["wall"] for turn in found["product"]["turns"]]
    told = f"The product waited for data {median(shares):.1%} of the time"
    lines += ["", f"{told} ({min(shares):.1%}-{max(shares):.1%})."]
    return lines, ratios


def study(found: dict[str, dict[str, Any]], way: str) -> float:
    """Returns the CPU-seconds of the published study's stages that were measured.

    Start-up and every epoch of training and validation are counted, a validation image as a third
    of a training step; making M3's synthetic images, evaluation and logging are not.
    """
    total = 0.0
    for stage, ways_found in found.items():
        epochs, train, val = STUDY[stage]
        each = median(turn["cpu"] / turn["images"] for turn in ways_found[way]["turns"])
        total += ways_found[way]["facts"]["start_cpu"] + epochs * (train + val / 3) * each
    return total


def main() -> None:
    """Prints the tables and what became of the targets."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default 5)")
    parser.add_argument("--images", type=int, default=512, help="images an epoch (default 512)")
    parser.add_argument("--stages", default="m1,m2,m3", help="default m1,m2,m3")
    given, given.overrides = parser.parse_known_args()
    stages = given.stages.split(",")
    names = ["product", "notebook", "peak"]
    if importlib.util.find_spec("torch"):
        names.insert(2, "torch")
    else:
        print(f"without PyTorch; for its rows: {INSTALL}")
    tags = provenance.collect()
    shown = (
        "machine.cpu",
        "machine.cores",
        "machine.system",
        "version.python",
        "version.tensorflow",
        "version.keras",
        "version.numpy",
        "version.opencv-python-headless",
        "git_commit",
        "git_dirty",
    )
    print("\n".join(f"- {key}: {tags[key]}" for key in shown))
    found, targets = {}, []
    for stage in stages:
        found[stage] = measure(stage, names, given)
        experiment = ways.experiment_of([f"experiment={stage}", *given.overrides])
        classes = found[stage]["product"]["facts"]["classes"]
        network = experiment.model.build((*experiment.dataset.image_size, 3), classes)
        flops = 3 * measure_cost(network).flops
        lines, ratios = table(stage, found[stage], flops)
        print("\n".join(lines), flush=True)
        for name, ratio in ratios.items():
            if (stage, name) in TARGETS:
                wanted = TARGETS[stage, name]
                verdict = "met" if ratio >= wanted else "missed"
                targets.append(f"{stage} against {name}: {ratio:.2f}, target {wanted}: {verdict}")
    for name in ("product", "notebook"):
        print(f"\n{name}: {found[stages[0]][name]['facts']['told']}")
    print("\n" + "\n".join(f"- {line}" for line in targets))
    share = study(found, "product") / study(found, "notebook")
    print(f"- the study of {given.stages}, from these costs: {share:.0%} of the notebook way's CPU")


if __name__ == "__main__":
    main()

"""Measures what training on two processes costs against one with the same cores.

    python benchmarks/distributed.py [rounds]

M1 at 180x180, batch 32, 126 of the demo lesions: one process with two threads against two workers
with one thread each. CPU seconds an image are those of whole epochs but the first, of all processes
together; runs alternate, and their lowest figures are compared, so that other work on the machine
matters less. An image is one that is trained or validated.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).parents[1]
EPOCHS, SIZE = 4, 180
WORDS = [
    "dataset=demo", f"dataset.image_size=[{SIZE},{SIZE}]", f"train.epochs={EPOCHS}", "tracking=off",
    "balance=undersample", "balance.to=14", "evaluation.explained=0", "train.precision=float32",
]  # fmt: skip


def main(rounds: int) -> None:
    """Prints CPU milliseconds an image of both, and their ratio."""
    with tempfile.TemporaryDirectory() as place:
        lowest = {"one process, two threads": 1e9, "two workers, one thread each": 1e9}
        for number in range(rounds):
            for name in lowest:
                folder = Path(place) / f"{number}-{len(name)}"
                verb = ["launch", "--workers", "2"] if "workers" in name else []
                lowest[name] = min(lowest[name], _measure(folder, verb, Path(place)))
                print(f"{name}: {lowest[name]:.1f} CPU-ms an image so far", flush=True)
        one, two = lowest.values()
        print(f"ratio {two / one:.3f}")


def _measure(folder: Path, verb: list[str], place: Path) -> float:
    words = [*WORDS, f"hydra.run.dir={folder}", f"cache.dir={place / 'cache'}"]
    threads = {} if verb else {"TF_NUM_INTRAOP_THREADS": "2"}
    started = subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", *verb, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT), **threads},
        stdout=subprocess.DEVNULL,
    )
    marks: list[float] = []
    seen = 0
    while started.poll() is None:
        lines = _epochs(folder / "metrics.jsonl")
        if len(lines) > seen:
            seen = len(lines)
            marks.append(_cpu_seconds(started.pid, bool(verb)))
        time.sleep(0.02)
    if started.returncode or len(marks) != EPOCHS:
        raise SystemExit(f"the run failed (exit code {started.returncode}, {len(marks)} epochs)")
    images = _images(folder)
    return 1000 * (marks[-1] - marks[0]) / (images * (EPOCHS - 1))


def _epochs(path: Path) -> list[str]:
    if not path.exists():
        return []
    return [x for x in path.read_text().splitlines() if json.loads(x).get("step") is not None]


def _images(folder: Path) -> int:
    for line in (folder / "metrics.jsonl").read_text().splitlines():
        if "train_images" in (content := json.loads(line)):
            return int(content["train_images"] + content["val_images"])
    raise SystemExit("no metrics of the data")


def _cpu_seconds(pid: int, is_launched: bool) -> float:
    parent = psutil.Process(pid)
    processes = parent.children() if is_launched else [parent]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)

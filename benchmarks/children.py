"""Compares making synthetic children with Augmentor's own `sample`, in turns.

    python benchmarks/children.py                 # 500 for each of nine classes, three times each
    python benchmarks/children.py 100 1           # fewer children, one repetition

Both rotate generated lesions of 180x180 pixels by up to 10 degrees with probability 0.7. Augmentor
reads JPEGs, draws in threads and writes JPEGs; here workers read decoded images, which a run needs
anyway, and write into one array. Seconds are wall and CPU time, workers and their start included.
"""

import contextlib
import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import psutil
from pydantic import TypeAdapter

from melanoma_exp import children
from melanoma_exp.arrays import Images
from melanoma_exp.augment.spec import AnyPolicy
from melanoma_exp.dataset import lesions
from melanoma_exp.samples import Samples

ROTATE = {"probability": 0.7, "max_left_rotation": 10, "max_right_rotation": 10}
CLASSES, SOURCES, SIDE = 9, 20, 180


def write_sources(root: Path) -> np.ndarray:
    """Writes a folder a class and returns the images, uint8 (n, 180, 180, 3)."""
    images = []
    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)
        for k in range(SOURCES):
            streams = (np.random.default_rng([label, k, s]) for s in range(2))
            images.append(lesions.render(label, *streams, SIDE))
            cv2.imwrite(str(root / f"class{label}" / f"{k}.jpg"), images[-1][..., ::-1])
    return np.stack(images)


def by_augmentor(root: Path, count: int) -> None:
    """Calls `sample` for every class."""
    import Augmentor

    for folder in sorted(root.iterdir()):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            pipeline = Augmentor.Pipeline(str(folder), tempfile.mkdtemp(dir=root.parent))
            pipeline.rotate(**ROTATE)
            pipeline.sample(count)


def rows(count: int) -> Samples:
    """Returns `count` children a class."""
    image = np.repeat(np.arange(CLASSES * SOURCES), -(-count // SOURCES))
    image = image.reshape(CLASSES, -1)[:, :count].ravel()
    copy = np.concatenate([np.arange(n) for n in np.bincount(image)]) + 1
    source = np.char.add("image", image.astype(str))
    label = image // SOURCES
    return Samples(
        tuple(f"class{k}" for k in range(CLASSES)), image, source, copy, label, source, source
    )


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Returns wall and CPU seconds, those of worker processes included."""

    def cpu() -> float:
        # Workers are children of a process that starts them, and end before it is asked.
        me = psutil.Process()
        return sum(sum(process.cpu_times()[:4]) for process in [me, *me.children(recursive=True)])

    wall, spent = time.perf_counter(), cpu()
    work()
    return time.perf_counter() - wall, cpu() - spent


def main() -> None:
    """Runs the benchmark."""
    count, repetitions = (int(word) for word in [*sys.argv[1:], "500", "3"][:2])
    policy = TypeAdapter(AnyPolicy).validate_python(
        {"kind": "augmentor", "online": False, "operations": [{"name": "rotate", **ROTATE}]}
    )
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        np.save(place / "sources.npy", write_sources(place / "images"))
        source = Images(np.load(place / "sources.npy", mmap_mode="r"))
        for k in range(repetitions):
            theirs = timed(lambda: by_augmentor(place / "images", count))
            ours = timed(
                lambda k=k: children.draw_all(rows(count), source, policy, 1, place / f"{k}.npy")
            )
            for name, (wall, cpu) in (("Augmentor", theirs), ("melanoma_exp", ours)):
                each = 1e3 * cpu / count / CLASSES
                print(f"{name:13} {wall:6.2f} s  {cpu:6.2f} CPU-s  {each:.2f} CPU-ms a child")
            found.append((theirs[0] / ours[0], theirs[1] / ours[1]))
    wall, cpu = np.median(found, axis=0)
    print(f"times as fast, {os.cpu_count()} cores: {wall:.2f} wall, {cpu:.2f} CPU (medians)")


if __name__ == "__main__":
    main()

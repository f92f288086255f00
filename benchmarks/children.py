"""Compares making synthetic children with Augmentor's own `sample`, in turns.

    python benchmarks/children.py                    # 500 for each of nine classes, five times each
    python benchmarks/children.py 100 1              # fewer children, one repetition
    python benchmarks/children.py 500 5 DIR/Train    # of images of one size, a folder a class

Both rotate by up to 10 degrees with probability 0.7, without DIR drawn lesions of 180x180 pixels.
Augmentor reads the files, draws in threads and writes JPEGs of the same size; here workers read
decoded images of that size, which a run needs anyway, and write into one array. Each repetition is
a fresh process: its seconds hold the interpreter, its imports, the workers and theirs.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROTATE = {"probability": 0.7, "max_left_rotation": 10, "max_right_rotation": 10}
CLASSES, SOURCES, SIDE = 9, 20, 180


def write_sources(root: Path) -> None:
    """Writes drawn lesions, a folder a class."""
    import cv2
    import numpy as np

    from melanoma_exp.demo import lesions

    for label in range(CLASSES):
        (root / f"class{label}").mkdir(parents=True)
        for k in range(SOURCES):
            streams = (np.random.default_rng([label, k, s]) for s in range(2))
            image = lesions.render(label, *streams, SIDE)
            cv2.imwrite(str(root / f"class{label}" / f"{k}.jpg"), image[..., ::-1])


def decode(root: Path, place: Path) -> None:
    """Keeps the pixels of all files and the number of their class."""
    import cv2
    import numpy as np

    files = [
        (k, f) for k, name in enumerate(sorted(root.iterdir())) for f in sorted(name.iterdir())
    ]
    np.save(place / "sources.npy", np.stack([cv2.imread(str(f))[..., ::-1] for _, f in files]))
    np.save(place / "labels.npy", np.array([k for k, _ in files]))


def by_augmentor(root: Path, place: Path, count: int) -> None:
    """Calls `sample` for every class."""
    import Augmentor

    for folder in sorted(root.iterdir()):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            pipeline = Augmentor.Pipeline(str(folder), tempfile.mkdtemp(dir=place))
            pipeline.rotate(**ROTATE)
            pipeline.sample(count)


def by_melanoma_exp(root: Path, place: Path, count: int) -> None:
    """Draws as many of every class, of its images in turn."""
    import numpy as np
    from pydantic import TypeAdapter

    from melanoma_exp.augment import AnyPolicy
    from melanoma_exp.data import children
    from melanoma_exp.data.samples import Samples
    from melanoma_exp.system.arrays import Images

    classes = tuple(folder.name for folder in sorted(root.iterdir()))
    labels = np.load(place / "labels.npy")
    of_class = [np.flatnonzero(labels == k) for k in range(len(classes))]
    image = np.concatenate([np.sort(np.resize(rows, count)) for rows in of_class])
    copy = np.concatenate([np.arange(n) for n in np.bincount(image)]) + 1
    source = np.char.add("image", image.astype(str))
    rows = Samples(classes, image, source, copy, labels[image], source, source)
    policy = TypeAdapter(AnyPolicy).validate_python(
        {
            "kind": "augmentor",
            "online": False,
            "batch": [],
            "operations": [{"name": "rotate", **ROTATE}],
        }
    )
    images = Images(np.load(place / "sources.npy", mmap_mode="r"))
    children.draw_all(rows, images, policy, 1, place / "children.npy")


WAYS = {"Augmentor": by_augmentor, "melanoma_exp": by_melanoma_exp}


def cpu_seconds() -> float:
    """Returns the CPU time of this process and of all that it started."""
    import psutil

    # Workers are children of a process that starts them, and end before it is asked.
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:4]) for process in [me, *me.children(recursive=True)])


def timed(way: str, root: Path, place: Path, count: int) -> tuple[float, float]:
    """Returns wall and CPU seconds of one way in a process of its own."""
    words = [sys.executable, __file__, "--one", way, str(root), str(place), str(count)]
    start = time.perf_counter()
    told = subprocess.run(words, check=True, stdout=subprocess.PIPE).stdout
    return time.perf_counter() - start, json.loads(told)


def main() -> None:
    """Runs the benchmark."""
    import numpy as np

    count, repetitions = (int(word) for word in [*sys.argv[1:3], "500", "5"][:2])
    found: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        root = Path(sys.argv[3]) if len(sys.argv) > 3 else place / "images"
        if len(sys.argv) <= 3:
            write_sources(root)
        decode(root, place)
        number = count * len(list(root.iterdir()))
        for _ in range(repetitions):
            times = []
            for way in WAYS:
                times.append(timed(way, root, place, count))
                wall, cpu = times[-1]
                each = 1e3 * cpu / number
                print(
                    f"{way:13} {wall:6.2f} s  {cpu:6.2f} CPU-s  {each:.2f} CPU-ms a child",
                    flush=True,
                )
            theirs, ours = times
            found.append((theirs[0] / ours[0], theirs[1] / ours[1]))
    for name, ratios in zip(("wall", "CPU"), np.transpose(found), strict=True):
        low, middle, high = np.quantile(ratios, (0, 0.5, 1))
        print(f"times as fast, {os.cpu_count()} cores, {name}: {middle:.2f} ({low:.2f}-{high:.2f})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        WAYS[sys.argv[2]](Path(sys.argv[3]), Path(sys.argv[4]), int(sys.argv[5]))
        print(cpu_seconds())
    else:
        main()

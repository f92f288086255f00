"""Shows that time and memory per image stay flat while a set grows beyond memory.

    python benchmarks/growth.py                          # 2,000, 20,000 and 100,000 images
    python benchmarks/growth.py 2000 --folder /big/disk  # where 10 GiB for 100,000 images are free

Images are generated, each unlike the others: files of 64x64 pixels, so that making them takes
little, decoded to 180x180. Each size runs in a process of its
own: a first start with an empty cache, a second one, the feed alone (from disk, and of the same
images in memory, in turns), and some training steps of M1. Times are CPU times, which other
processes on the machine disturb least; anonymous memory and mapped files are told apart.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

FILE_SIDE, SIDE, BATCH = 64, 180, 32
IN_MEMORY = 20_000  # the largest set that is also held in memory
FED, STEPS = 4_000, 20  # images fed for each figure; steps of M1


def write_images(root: Path, count: int) -> None:
    """Writes JPEGs of three classes."""
    for k in range(count):
        noise = np.random.default_rng(k).integers(0, 256, (16, 16, 3), np.uint8)
        image = cv2.resize(noise, (FILE_SIDE, FILE_SIDE), interpolation=cv2.INTER_CUBIC)
        folder = root / f"class{k % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{k}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, 85])


def measure(root: Path, cache: Path, count: int) -> None:
    """Prints the figures of one size; runs in a process of its own."""
    from melanoma_exp import cli, composition, config, material
    from melanoma_exp.pipeline import Feed, Reader

    words = ["dataset=folder", f"dataset.root={root}", f"cache.dir={cache}", "model=m1"]
    words += ["augment=flip_rotate_zoom", "cache.max_gib=null"]
    experiment = config.parse(composition.compose(cli.conf_folder(), words))
    for name in ("first start", "second start"):
        clock = time.process_time()
        ready = material.prepare(experiment)
        spent = time.process_time() - clock
        _say(f"{name}: {spent:.2f} CPU-s, {1e3 * spent / count:.3f} ms an image; {_memory()}")
    none = config.parse(composition.compose(cli.conf_folder(), [*words, "augment=none"])).augment
    disk, readers = ready.reader, {"disk": ready.reader}
    if count <= IN_MEMORY:
        readers["memory"] = Reader(np.array(disk.pixels), disk.children)
    for name, policy in (("no policy", none), ("flip, rotation, zoom", experiment.augment)):
        feeds = {
            place: Feed.training(ready.plan, reader, policy, BATCH, 1)
            for place, reader in readers.items()
        }
        spent_in: dict[str, list[float]] = {place: [] for place in feeds}
        for epoch in range(6):
            for place, feed in feeds.items():
                order = feed.order(epoch)
                clock = time.process_time()
                for step in range(min(FED // 6 // BATCH, feed.steps)):
                    feed._batch(order, epoch, step)  # as `dataset` does
                spent_in[place].append(1e3 * (time.process_time() - clock) / (FED // 6))
        told = ", ".join(f"{place} {np.median(v[1:]):.3f}" for place, v in spent_in.items())
        _say(f"feed, {name}: {told} CPU-ms an image; {_memory()}")
    readers.clear()
    del feeds, feed
    _train(experiment, ready)


def _train(experiment, ready) -> None:  # noqa: ANN001
    from melanoma_exp.pipeline import Feed
    from melanoma_exp.training import process
    from melanoma_exp.training.compile import compile_model

    process.keep_freed_memory()
    process.import_tensorflow()
    process.prepare_process(experiment.train, experiment.seed)
    feed = Feed.training(ready.plan, ready.reader, experiment.augment, BATCH, experiment.seed)
    model = experiment.model.build((SIDE, SIDE, 3), 3)
    compile_model(model, experiment.train, feed.steps, 3)
    model.fit(feed.dataset(0), steps_per_epoch=2, verbose=0)
    clock = time.process_time()
    model.fit(feed.dataset(1), steps_per_epoch=STEPS, verbose=0)
    spent = 1e3 * (time.process_time() - clock) / STEPS / BATCH
    _say(f"training M1: {spent:.1f} CPU-ms an image; {_memory()}")


def _memory() -> str:
    status = Path("/proc/self/status").read_text()
    values = {k: int(v) / 2**10 for k, v in re.findall(r"(\w+):\s+(\d+) kB", status)}
    return (
        f"resident {values['VmRSS']:.0f} MiB ({values['RssAnon']:.0f} anonymous, "
        f"{values['RssFile']:.0f} of files), peak {values['VmHWM']:.0f}"
    )


def _say(line: str) -> None:
    print(f"  {line}", flush=True)


def main() -> None:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("counts", nargs="*", type=int, default=[2_000, 20_000, 100_000])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        root, cache, count = given.measure
        return measure(Path(root), Path(cache), int(count))
    for count in given.counts:
        place = Path(tempfile.mkdtemp(dir=given.folder, prefix="growth-"))
        try:
            print(f"{count:,} images", flush=True)
            write_images(place / "images", count)
            words = ["--measure", str(place / "images"), str(place / "cache"), str(count)]
            subprocess.run([sys.executable, __file__, *words], check=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()

"""Shows that time and memory per image stay flat while a set grows beyond memory.

    python benchmarks/growth.py                          # 2,000, 20,000 and 100,000 images
    python benchmarks/growth.py 2000 --folder /big/disk  # where 10 GiB for 100,000 images are free
    python benchmarks/growth.py 100000 --arrays          # without decoding files, in minutes

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

from melanoma_exp.augment import Policy
from melanoma_exp.config import Experiment
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Plan, Samples
from melanoma_exp.system import arrays
from melanoma_exp.system.installation import conf_folder

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


def write_array(path: Path, count: int) -> None:
    """Writes images as the cache has them: smooth noise, each another part of a larger picture."""
    random = np.random.default_rng(0)
    wide = cv2.resize(random.integers(0, 256, (300, 300, 3), np.uint8), (2700, 2700))
    begin = arrays.create(path, (count, SIDE, SIDE, 3))
    for k, (y, x) in enumerate(random.integers(0, 2700 - SIDE, (count, 2))):
        image = wide[y : y + SIDE, x : x + SIDE]
        arrays.write(path, begin + k * image.nbytes, image)


def rows(count: int) -> Samples:
    """Returns rows as long as those of a real set."""
    number = np.arange(count)
    source = np.char.add("Train/basal cell carcinoma/ISIC_", number.astype(str))
    official = np.full(count, "train")
    classes = ("class0", "class1", "class2")
    return Samples(classes, number, source, np.zeros_like(number), number % 3, source, official)


def measure(root: Path, cache: Path, count: int) -> None:
    """Prints the figures of one size, of files or of an array; runs in a process of its own."""
    from melanoma_exp import config
    from melanoma_exp.cli import compose
    from melanoma_exp.run import runner

    words = ["dataset=folder", f"dataset.root={root}", f"cache.dir={cache}", "model=m1"]
    words += ["augment=flip_rotate_zoom", "cache.max_gib=null"]
    experiment = config.parse(compose.compose(conf_folder(), words))
    if root.is_file():
        plan = Plan(rows(count), np.ones(3))
        disk = Reader(np.load(root, mmap_mode="r"), np.empty((0, SIDE, SIDE, 3), np.uint8))
    else:
        for name in ("first start", "second start"):
            clock = time.process_time()
            ready = runner.prepare_data(experiment)
            spent = time.process_time() - clock
            _say(f"{name}: {spent:.2f} CPU-s, {1e3 * spent / count:.3f} ms an image; {_memory()}")
        plan, disk = ready.plan, ready.reader
    none = config.parse(compose.compose(conf_folder(), [*words, "augment=none"])).augment
    policies = {"no policy": none, "flip, rotation, zoom": experiment.augment}
    _feed(plan, {"disk": disk}, policies)
    _train(experiment, plan, disk)
    if count <= IN_MEMORY:  # last, for it is what the others do without
        held = Reader(disk.fetch(np.arange(count)), disk.children)
        _feed(plan, {"disk": disk, "memory": held}, policies)


def _feed(plan: Plan, readers: dict[str, Reader], policies: dict[str, Policy]) -> None:
    """Prints what a batch costs from each place, in turns."""
    for name, policy in policies.items():
        feeds = {
            place: Loader.training(plan, reader, policy, BATCH, 1)
            for place, reader in readers.items()
        }
        spent: dict[str, list[float]] = {place: [] for place in feeds}
        for epoch in range(6):
            for place, loader in feeds.items():
                steps = min(FED // 6 // BATCH, loader.steps)
                clock = time.process_time()
                for step in range(steps):
                    loader.batch(epoch, step)
                spent[place].append(1e3 * (time.process_time() - clock) / steps / BATCH)
        told = ", ".join(f"{place} {np.median(v[1:]):.3f}" for place, v in spent.items())
        _say(f"feed, {name}: {told} CPU-ms an image; {_memory()}")


def _train(experiment: Experiment, plan: Plan, reader: Reader) -> None:
    from melanoma_exp.training import process
    from melanoma_exp.training.losses import ClassFrequencies
    from melanoma_exp.training.optim import compile_model

    process.keep_freed_memory()
    process.import_tensorflow()
    process.prepare_process(experiment.train, experiment.seed)
    loader = Loader.training(plan, reader, experiment.augment, BATCH, experiment.seed)
    model = experiment.model.build((SIDE, SIDE, 3), 3)
    compile_model(model, experiment.train, loader.steps, ClassFrequencies.of(plan))
    model.fit(loader.dataset(0), steps_per_epoch=2, verbose=0)
    clock = time.process_time()
    model.fit(loader.dataset(1), steps_per_epoch=STEPS, verbose=0)
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
    parser.add_argument("--arrays", action="store_true", help="leave decoding out")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        root, cache, count = given.measure
        return measure(Path(root), Path(cache), int(count))
    for count in given.counts:
        place = Path(tempfile.mkdtemp(dir=given.folder, prefix="growth-"))
        try:
            print(f"{count:,} images", flush=True)
            (write_array if given.arrays else write_images)(place / "images", count)
            words = ["--measure", str(place / "images"), str(place / "cache"), str(count)]
            subprocess.run([sys.executable, __file__, *words], check=True)
        finally:
            shutil.rmtree(place)


if __name__ == "__main__":
    main()

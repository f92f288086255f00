"""Times what a run does to a set before it trains, on generated images: time, CPU and peak memory.

    python benchmarks/audit.py                         # 10,000 images of 180x180 pixels
    python benchmarks/audit.py 2359 600                # number and side
    python benchmarks/audit.py 100000 96 same_lesion   # and looks for lesions photographed again

The survey (hashes, near-duplicates), the audit, the split and, where asked for, the search for
lesions photographed again, each by itself; then the survey and the audit from the cache. Every
hundredth image is a turned, recompressed copy of the one before; all of them must be found.
"""

import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
import psutil
import yaml

from melanoma_exp.data.audit.cached import audit
from melanoma_exp.data.datasets.folder import Folder
from melanoma_exp.data.splits.holdout import Holdout
from melanoma_exp.spec import Spec
from melanoma_exp.system.installation import conf_folder

S = TypeVar("S", bound=Spec)


def made(kind: type[S], option: str, **changed: object) -> S:
    """Returns an option of the config with some keys changed."""
    content = yaml.safe_load((conf_folder() / f"{option}.yaml").read_text())
    return kind.model_validate({**content, **changed})


def write(root: Path, count: int, side: int) -> int:
    """Writes the images as JPEGs of three classes and returns the number of copies."""
    previous = np.zeros((side, side, 3), np.uint8)
    for k in range(count):
        random, total = np.random.default_rng(k), np.zeros((side, side, 3), np.float32)
        for knots, weight in ((3, 40), (8, 30), (20, 25), (40, 15)):
            noise = random.normal(0, weight, (knots, knots, 3)).astype(np.float32)
            total += cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)
        image, quality = np.clip(total + 128, 0, 255).astype(np.uint8), 90
        if k % 100 == 99:
            image, quality = np.rot90(previous), 60
        folder = root / f"class{k % 3}"
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"{k}.jpg"), image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        previous = image
    return count // 100


@contextmanager
def timed(name: str) -> Iterator[None]:
    """Prints how long something took, by the clock and on all cores, and the peak memory."""
    clock, cores = time.perf_counter(), time.process_time()
    yield
    clock, cores = time.perf_counter() - clock, time.process_time() - cores
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    load = psutil.getloadavg()[0]
    print(
        f"{name}: {clock:.1f} s, {cores:.1f} CPU-s, peak {peak:.0f} MiB, load {load:.1f}",
        flush=True,
    )


def main() -> None:
    """Runs the benchmark."""
    words = dict(enumerate(sys.argv))
    count, side = int(words.get(1, "10000")), int(words.get(2, "180"))
    with tempfile.TemporaryDirectory() as place:
        root, cache = Path(place, "data"), Path(place, "cache")
        with timed(f"drawing {count} images of {side}x{side}"):
            copies = write(root, count, side)
        spec = made(Folder, "dataset/folder", root=root)
        with timed("survey"):
            survey = spec.survey(cache)
        with timed("audit"):
            audit(survey, cache)
        with timed("split"):
            made(Holdout, "split/holdout").apply(survey.samples)
        with timed("survey and audit again"):
            audit(spec.survey(cache), cache)
        print(f"near-duplicates: {len(survey.fingerprints.pairs)} pairs found, {copies} made")
        if words.get(3) == "same_lesion":
            with timed("same lesion"):
                again = made(Folder, "dataset/folder", root=root, same_lesion="review")
                print(f"pairs of one lesion: {len(again.survey(cache).same_lesions or ())}")


if __name__ == "__main__":
    main()

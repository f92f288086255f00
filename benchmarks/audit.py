"""Times the audit on generated images: seconds for a first and a second time, and peak memory.

    python benchmarks/audit.py            # 10,000 images of 180x180 pixels
    python benchmarks/audit.py 2359 600   # number and side

Every hundredth image is a turned, recompressed copy of the one before; all of them must be found.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import yaml

from melanoma_exp.data.audit.cached import audit
from melanoma_exp.data.datasets.folder import Folder
from melanoma_exp.system.installation import conf_folder


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


def main() -> None:
    """Runs the benchmark."""
    count, side = (int(word) for word in (*sys.argv[1:], *("10000", "180")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as place:
        root, cache = Path(place, "data"), Path(place, "cache")
        copies = write(root, count, side)
        content = yaml.safe_load((conf_folder() / "dataset" / "folder.yaml").read_text())
        spec = Folder.model_validate({**content, "root": root})
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        for name in ("first", "second"):
            started = time.perf_counter()
            survey = spec.survey(cache)
            audit(survey, cache)
            print(f"{name} time: {time.perf_counter() - started:.1f} s")
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory: {after:.0f} MiB, {after - before:.0f} MiB more than before")
    print(f"near-duplicates: {len(survey.fingerprints.pairs)} pairs found, {copies} made")


if __name__ == "__main__":
    main()

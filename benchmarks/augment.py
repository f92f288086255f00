"""Measures what the online policies cost an image, beside one plain copy and OpenCV's warp alone.

    python benchmarks/augment.py               # medians over interleaved repetitions
    python benchmarks/augment.py grid.png      # also draws variants of demo lesions

Flip, rotation and zoom at 180x180 pixels, as `conf/augment/flip_rotate_zoom.yaml` has them.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import yaml
from pydantic import TypeAdapter

from melanoma_exp.augment import AnyPolicy, Policy, affine
from melanoma_exp.demo import lesions
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.system.randomness import Purpose, generator

SIDE, IMAGES, REPETITIONS = 180, 200, 15


def policy(name: str) -> Policy:
    """Returns an option of the group `augment`."""
    content = yaml.safe_load((conf_folder() / "augment" / f"{name}.yaml").read_text())
    return TypeAdapter(AnyPolicy).validate_python(content)


def pictures(count: int) -> np.ndarray:
    """Returns demo lesions, uint8 (count, 180, 180, 3)."""
    streams = [np.random.default_rng([k, 1]) for k in range(2 * count)]
    drawn = [lesions.render(k % 9, streams[2 * k], streams[2 * k + 1], SIDE) for k in range(count)]
    return np.stack(drawn)


def measure(images: np.ndarray) -> None:
    """Prints CPU-milliseconds an image."""
    spatial, dihedral = policy("flip_rotate_zoom"), policy("dihedral")
    places = affine.matrix(SIDE, SIDE, (True, False), turns=0.13, zoom=(0.1, 0.1))[:2]

    def warp(image: np.ndarray, k: int) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            image, places, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REFLECT
        )

    ways: dict[str, Callable[[np.ndarray, int], np.ndarray]] = {
        "copy": lambda image, k: image.copy(),
        "flip_rotate_zoom": lambda image, k: spatial.draw(image, _random(k)),
        "cv2.warpAffine alone, three bytes a pixel": warp,
        "dihedral": lambda image, k: dihedral.draw(image, _random(k)),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(REPETITIONS):
        for name, way in ways.items():
            clock = time.process_time()
            for k in range(IMAGES):
                way(images[k % len(images)], k)
            spent[name].append(1e3 * (time.process_time() - clock) / IMAGES)
    for name, values in spent.items():
        low, middle = min(values), np.median(values)
        print(f"{middle:.3f} CPU-ms an image (least {low:.3f})  {name}")


def _random(position: int) -> np.random.Generator:
    return generator(1, Purpose.ONLINE, 0, position)


def draw(images: np.ndarray, path: Path) -> None:
    """Writes a grid: a row a policy and lesion, the original first."""
    rows = [
        np.hstack([image, *(policy(name).draw(image, _random(k)) for k in range(7))])
        for name in ("flip_rotate_zoom", "dihedral")
        for image in images[3:6]
    ]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main() -> None:
    """Runs the benchmark."""
    images = pictures(12)
    measure(images)
    if len(sys.argv) > 1:
        draw(images, Path(sys.argv[1]))


if __name__ == "__main__":
    main()

"""Measures what the online policies cost an image, beside one plain copy and OpenCV's warp alone.

    python benchmarks/augment.py               # medians over interleaved repetitions
    python benchmarks/augment.py grid.png      # also draws variants of demo lesions

Flip, rotation and zoom at 180x180 pixels, as `conf/augment/flip_rotate_zoom.yaml` has them; then
the policies for dermoscopy and each of their steps at 112x152.
"""

import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml
from pydantic import TypeAdapter

from melanoma_exp.augment import AnyPolicy, Policy, affine
from melanoma_exp.demo import lesions
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.system.randomness import Purpose, generator

SIDE, IMAGES, REPETITIONS = 180, 200, 15
STEPS_SIZE = (112, 152)  # of the images that single steps are measured on
MORE: list[dict[str, Any]] = [
    {"kind": "shades_of_grey", "probability": 1.0, "power": 6.0},
    {"kind": "blur", "probability": 1.0, "sigma": [0.1, 2.0]},
]


Way = Callable[[np.ndarray, int], np.ndarray]


def policy(name: str) -> Policy:
    """Returns an option of the group `augment`."""
    content = yaml.safe_load((conf_folder() / "augment" / f"{name}.yaml").read_text())
    return TypeAdapter(AnyPolicy).validate_python(content)


def pictures(count: int) -> np.ndarray:
    """Returns demo lesions, uint8 (count, 180, 180, 3)."""
    streams = [np.random.default_rng([k, 1]) for k in range(2 * count)]
    drawn = [lesions.render(k % 9, streams[2 * k], streams[2 * k + 1], SIDE) for k in range(count)]
    return np.stack(drawn)


def measure_policies(images: np.ndarray) -> None:
    """Prints what whole policies cost beside a copy and a warp."""
    spatial, dihedral = policy("flip_rotate_zoom"), policy("dihedral")
    places = affine.matrix(SIDE, SIDE, (True, False), turns=0.13, zoom=(0.1, 0.1))[:2]

    def warp(image: np.ndarray, k: int) -> np.ndarray:
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(
            image, places, (SIDE, SIDE), flags=flags, borderMode=cv2.BORDER_REFLECT
        )

    ways: dict[str, Way] = {
        "copy": lambda image, k: image.copy(),
        "flip_rotate_zoom": lambda image, k: spatial.draw(image, _random(k)),
        "cv2.warpAffine alone, three bytes a pixel": warp,
        "dihedral": lambda image, k: dihedral.draw(image, _random(k)),
    }
    measure(images, ways)


def measure_steps(images: np.ndarray) -> None:
    """Prints what the policies for dermoscopy cost, and each of their steps alone."""
    policies = {name: policy(name) for name in ("recipe", "rand_augment")}
    written = [step for p in policies.values() for step in p.model_dump()["steps"]]
    certain = [{**s, **({"probability": 1.0} if "probability" in s else {})} for s in written]
    for step in (*certain, *MORE):
        alone = {"kind": "compose", "online": True, "batch": [], "steps": [step]}
        policies[f"step {step['kind']}"] = TypeAdapter(AnyPolicy).validate_python(alone)

    def drawing(one: Policy) -> Way:
        return lambda image, k: one.draw(image, _random(k))

    print("at {}x{}:".format(*images.shape[1:3]))
    measure(images, {name: drawing(one) for name, one in policies.items()})


def measure(images: np.ndarray, ways: Mapping[str, Way]) -> None:
    """Prints CPU-milliseconds an image of each way, measured in turns."""
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
        for name in ("flip_rotate_zoom", "recipe", "rand_augment")
        for image in images[3:6]
    ]
    cv2.imwrite(str(path), np.vstack(rows)[..., ::-1])


def main() -> None:
    """Runs the benchmark."""
    images = pictures(12)
    measure_policies(images)
    rows, columns = STEPS_SIZE
    measure_steps(np.stack([cv2.resize(image, (columns, rows)) for image in images]))
    if len(sys.argv) > 1:
        draw(images, Path(sys.argv[1]))


if __name__ == "__main__":
    main()

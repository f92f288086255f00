"""Pictures: textured ones, each unlike the others, copies that only look different, and skin."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from melanoma_exp.data.duplicates.near_duplicates import turned

SIZE = (72, 96)


def picture(seed: int, side: int = 96) -> Image.Image:
    """Draws a picture with coarse and fine structure."""
    random = np.random.default_rng(seed)
    total = np.zeros((side, side, 3))
    for knots, weight in ((3, 40), (8, 30), (20, 25), (40, 15)):
        noise = (random.random((knots, knots, 3)) * 255).astype(np.uint8)
        layer = Image.fromarray(noise).resize((side, side), Image.Resampling.BICUBIC)
        total += weight / 128 * (np.asarray(layer) - 127.5)
    return Image.fromarray(np.clip(total + 128, 0, 255).astype(np.uint8))


def position(image: Image.Image, turn: int) -> Image.Image:
    """Turns and mirrors."""
    return Image.fromarray(np.ascontiguousarray(turned(np.asarray(image), turn)))


def recompressed(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(io.BytesIO(content.getvalue())).convert("RGB")


def save(image: Image.Image, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)
    return path


def skin(height: int = SIZE[0], width: int = SIZE[1]) -> np.ndarray:
    """An image as smooth, as coloured and as uneven as a lesion on skin."""
    random = np.random.default_rng(5)
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    depth = 1 / (1 + np.exp(12 * (np.hypot(y - 0.1, 1.3 * x + 0.2) - 0.55)))[..., None]
    image = (1 - depth) * (224, 170, 150) + depth * (90, 50, 45)
    image += 25 * cv2.GaussianBlur(random.normal(size=image.shape), (0, 0), 1.2)
    return np.clip(image + 20 * x[..., None], 0, 255).astype(np.uint8)


def drawn(policy: Any, image: np.ndarray, seeds: Iterable[int] = range(1)) -> list[np.ndarray]:
    """Returns what a policy makes of an image, by seed."""
    return [policy.draw(image, np.random.default_rng(seed)) for seed in seeds]

"""Textured pictures, each unlike the others at every scale, and copies that only look different."""

import io
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma_exp.dataset.neighbours import turned


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

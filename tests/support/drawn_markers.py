"""Drawn lesions, and what may stand beside one in a picture."""

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from melanoma_exp.demo import lesions, photograph

SIDE = 256
FONT = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"


def lesion(seed: int, side: int = SIDE) -> Image.Image:
    """Draws a lesion that fills no corner, without the round aperture that some have."""
    before, photograph.ROUND_APERTURE_SHARE = photograph.ROUND_APERTURE_SHARE, 0.0
    try:
        streams = (np.random.default_rng([seed, k]) for k in range(2))
        return Image.fromarray(lesions.render(seed % 9, *streams, side))
    finally:
        photograph.ROUND_APERTURE_SHARE = before


def with_ruler(image: Image.Image, ticks: int = 5) -> Image.Image:
    """Draws ticks at the right side, one 15th of the side apart."""
    found, side = image.copy(), image.width
    draw = ImageDraw.Draw(found)
    for k in range(ticks):
        y, long = round(side * (0.3 + k / 15)), round(side * (0.06 if k % 5 else 0.09))
        draw.line([(side - long - 6, y), (side - 6, y)], (20, 20, 20), max(1, side // 110))
    return found


def with_ink(image: Image.Image) -> Image.Image:
    """Draws a stroke of a blue pen in the upper left."""
    pixels = np.asarray(image).copy()
    side = len(pixels)
    line = np.array([[0.03, 0.22], [0.1, 0.1], [0.23, 0.04]]) * side
    cv2.polylines(pixels, [np.rint(line).astype(np.int32)], False, (60, 40, 190), side // 40)
    return Image.fromarray(pixels)


def with_text(image: Image.Image, words: str = "MUELLER, Anna") -> Image.Image:
    """Writes words in white along the lower side, a tenth of the picture high."""
    found, side = image.copy(), image.width
    font = ImageFont.truetype(FONT, round(side * 0.09))
    ImageDraw.Draw(found).text((0.05 * side, 0.86 * side), words, (255, 255, 255), font)
    return found


def with_small_text(image: Image.Image) -> Image.Image:
    """Writes a date in red, too small for its figures to stay apart."""
    small = image.resize((180, 180))
    font = ImageFont.truetype(FONT, 7)
    ImageDraw.Draw(small).text((130, 160), "12.03.67", (255, 60, 40), font)
    return small


def with_frame(image: Image.Image) -> Image.Image:
    """Lays a black bar along the upper side."""
    pixels = np.asarray(image).copy()
    pixels[: len(pixels) // 12] = 0
    return Image.fromarray(pixels)


def with_dark_corners(image: Image.Image) -> Image.Image:
    """Blackens what lies outside a circle."""
    y, x = np.mgrid[-1 : 1 : image.height * 1j, -1 : 1 : image.width * 1j]
    return Image.fromarray(np.where((np.hypot(x, y) < 1.15)[..., None], np.asarray(image), 4))


def page(seed: int = 0) -> Image.Image:
    """Draws a page of text."""
    random = np.random.default_rng(seed)
    found = Image.new("RGB", (300, 400), (250, 248, 240))
    draw, font = ImageDraw.Draw(found), ImageFont.truetype(FONT, 13)
    for y in range(20, 370, 20):
        words = ["".join(map(chr, random.integers(97, 123, n))) for n in random.integers(2, 9, 6)]
        draw.text((20, y), " ".join(words), (25, 25, 25), font)
    return found


def photographed_page(seed: int = 0) -> Image.Image:
    """Draws a page under uneven light, with the noise of a camera."""
    pixels = np.asarray(page(seed)) * np.linspace(0.8, 1, 300)[None, :, None]
    noise = np.random.default_rng(seed).normal(0, 3, pixels.shape)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def radiograph(seed: int = 0) -> Image.Image:
    """Draws soft grey shapes on black."""
    random = np.random.default_rng(seed)
    plane = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(12):
        middle = [int(k) for k in random.integers(40, 216, 2)]
        axes = [int(k) for k in random.integers(5, 60, 2)]
        cv2.ellipse(plane, middle, axes, float(random.integers(0, 180)), 0, 360, 0.5, -1)
    plane = cv2.GaussianBlur(plane, (0, 0), 4) * 400 + random.normal(0, 3, plane.shape)
    return Image.fromarray(np.clip(plane, 0, 255).astype(np.uint8)).convert("RGB")


def plants(seed: int = 0) -> Image.Image:
    """Draws something green."""
    noise = np.random.default_rng(seed).normal(0, 30, (SIDE, SIDE, 3))
    return Image.fromarray(np.clip(noise + (60, 140, 50), 0, 255).astype(np.uint8))

"""What a dermatoscope adds to a lesion: pose, hair, light, aperture, blur and noise.

`photograph` is a pure function of its generator and the canvas. Lengths are in units of half the
photograph's side; the canvas reaches `EXTENT` of them from its centre in each direction.
"""

import cv2
import numpy as np

from melanoma_exp.demo.patterns import SUBPIXEL_BITS, SUBPIXELS, Plane, axes, polar, smoothstep

EXTENT = 1.4
"""A turned, shifted, zoomed-out photograph leaves the canvas, but only to find mirrored skin."""

ZOOM = (0.9, 1.15)
SHIFT = 0.08
GAIN_SPREAD = 0.04
HAIRY_SHARE = 0.35
MOST_HAIRS = 10
HAIR_COLOUR = np.array([48, 34, 28], np.float32)
ROUND_APERTURE_SHARE = 0.2
BLUR = (0.004, 0.017)
NOISE_LEVEL = (1.0, 3.0)


def photograph(rng: np.random.Generator, canvas: Plane, size: int) -> np.ndarray:
    """Takes a picture of a lesion drawn on skin.

    `canvas` is float32 (side, side, 3) RGB in [0, 255] whose pixels are the photograph's.
    Returns uint8 (size, size, 3) RGB.
    """
    frame = _pose(rng, canvas, size)
    _add_hair(rng, frame)
    frame = cv2.GaussianBlur(frame, (0, 0), rng.uniform(*BLUR) * size / 2.0)
    light = _light(rng, size)
    grain = rng.standard_normal((size, size, 1), np.float32) * np.float32(rng.uniform(*NOISE_LEVEL))
    return np.clip(frame * light + grain + 0.5, 0, 255).astype(np.uint8)


def _pose(rng: np.random.Generator, canvas: Plane, size: int) -> Plane:
    """Turns, zooms and shifts; float32 (size, size, 3)."""
    angle = rng.uniform(0.0, 2.0 * np.pi)
    step = 1.0 / rng.uniform(*ZOOM)
    cosine, sine = step * np.cos(angle), step * np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shift = rng.uniform(-SHIFT, SHIFT, 2) * size / 2
    middle = np.full(2, (size - 1) / 2) + shift
    offset = np.full(2, (len(canvas) - 1) / 2) - turn @ middle
    return cv2.warpAffine(
        canvas,
        np.column_stack([turn, offset]),
        (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    )


def _add_hair(rng: np.random.Generator, frame: Plane) -> None:
    """Lays curved hairs that share a main direction over the frame, in place."""
    count = int(rng.integers(1, MOST_HAIRS + 1)) if rng.random() < HAIRY_SHARE else 0
    side = len(frame)
    direction = rng.uniform(0.0, np.pi)
    strands = np.zeros((side, side), np.uint8)
    t = np.linspace(0.0, 1.0, 16)[:, None]
    for _ in range(count):
        angle = direction + rng.normal(0.0, 0.35)
        along = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-along[1], along[0]])
        middle = rng.uniform(0.0, side, 2)
        reach = rng.uniform(0.25, 0.9) * side
        bend = rng.normal(0.0, 0.12) * side
        path = middle + (t - 0.5) * 2 * reach * along + (t - 0.5) ** 2 * 4 * bend * across
        pixels = np.round(path * SUBPIXELS).astype(np.int32)
        shade = int(rng.integers(90, 220))
        thickness = max(1, round(rng.uniform(0.005, 0.010) * side))
        cv2.polylines(strands, [pixels], False, shade, thickness, cv2.LINE_AA, SUBPIXEL_BITS)
    if count:
        cover = (strands * np.float32(1 / 255))[:, :, None]
        frame += cover * (HAIR_COLOUR - frame)


def _light(rng: np.random.Generator, size: int) -> Plane:
    """Returns the gain of every pixel and channel: exposure, white balance, fall-off, aperture.

    Float32 (size, size, 3), from 0 to about 1.2.
    """
    x, y = axes(size)
    radius, _ = polar(size)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    slope = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    gain = 1.0 + np.float32(rng.uniform(0.0, 0.08)) * slope
    gain *= 1.0 - np.float32(rng.uniform(0.0, 0.35)) * smoothstep(radius, 0.5, 1.5)
    if rng.random() < ROUND_APERTURE_SHARE:
        edge = rng.uniform(1.0, 1.2)
        gain *= 1.0 - 0.95 * smoothstep(radius, edge, edge + 0.08)
    balance = rng.normal(1.0, GAIN_SPREAD) * rng.normal(1.0, GAIN_SPREAD / 3, 3)
    return gain[:, :, None] * balance.astype(np.float32)

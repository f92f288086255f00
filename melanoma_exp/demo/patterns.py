"""Organic patterns for drawn skin: smooth noise, cell meshes, ridges, spots and vessels.

Every function draws from the generator it is given in an order and number that do not depend on
the picture's side, so the same stream gives the same pattern at every resolution. A plane is
square and reaches from -1 to 1 in both directions; lengths are in these units.
"""

from functools import lru_cache

import cv2
import numpy as np

Plane = np.ndarray

SUBPIXEL_BITS = 4
SUBPIXELS = 1 << SUBPIXEL_BITS

VESSEL_WIDTH = 0.028
VESSEL_STEPS = 8


@lru_cache(maxsize=4)
def axes(side: int) -> tuple[Plane, Plane]:
    """Returns the x and y coordinate of every pixel: two float32 (side, side) within [-1, 1]."""
    line = np.linspace(-1.0, 1.0, side, dtype=np.float32)
    x, y = np.meshgrid(line, line)
    return x, y


@lru_cache(maxsize=4)
def polar(side: int) -> tuple[Plane, Plane]:
    """Returns the distance from the centre and the angle in [0, 2 pi] of every pixel.

    Two float32 planes (side, side).
    """
    x, y = axes(side)
    return cv2.magnitude(x, y), cv2.phase(x, y)


def smoothstep(values: Plane, low: float, high: float) -> Plane:
    """Ramps smoothly from 0 at `low` to 1 at `high`; float32 of the same shape, in [0, 1]."""
    t = (values - np.float32(low)) * np.float32(1.0 / (high - low))
    np.clip(t, 0.0, 1.0, out=t)
    return t * t * (3.0 - 2.0 * t)


def noise(rng: np.random.Generator, side: int, *cells: int) -> Plane:
    """Sums smooth noise fields, one octave per entry of `cells`, each half as strong as the last.

    `cells` are the numbers of knots across the plane, rising. Returns a float32 plane (side, side)
    with mean about 0 and values mostly within [-1.5, 1.5].
    """
    total = rng.standard_normal((cells[0], cells[0]), np.float32)
    for octave, count in enumerate(cells[1:], start=1):
        # Octaves are summed on the coarsest grid that holds them: only one resize is a large one.
        coarse = cv2.resize(total, (count, count), interpolation=cv2.INTER_CUBIC)
        fine = rng.standard_normal((count, count), np.float32) * np.float32(0.5**octave)
        total = np.add(coarse, fine)
    return cv2.resize(total, (side, side), interpolation=cv2.INTER_CUBIC)


def mesh(rng: np.random.Generator, side: int, cells: int) -> Plane:
    """Measures the distance to the nearest of `cells` x `cells` jittered points.

    Low in the holes and high on the web between them. Float32 (side, side), in units of the
    points' pitch, from 0 to about 1.
    """
    pitch = side / cells
    rows, columns = np.indices((cells, cells)) + rng.uniform(0.1, 0.9, (2, cells, cells))
    seeds = np.ones((side, side), np.uint8)
    seeds[(rows * pitch).astype(int), (columns * pitch).astype(int)] = 0
    distance: Plane = cv2.distanceTransform(seeds, cv2.DIST_L2, 5) / np.float32(pitch)
    return distance


def ridges(rng: np.random.Generator, side: int, frequency: float) -> Plane:
    """Draws bent furrows like a fingerprint's, `frequency` of them per unit of length.

    Float32 (side, side) in [0, 1].
    """
    x, y = axes(side)
    angle = rng.uniform(0.0, np.pi)
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    bent = along + 0.16 * noise(rng, side, 6, 11)
    wave: Plane = 0.5 + 0.5 * np.sin(np.float32(2.0 * np.pi * frequency) * bent)
    return wave


def spots(
    rng: np.random.Generator,
    side: int,
    count: int,
    sizes: tuple[float, float],
    spread: float,
) -> Plane:
    """Scatters `count` filled ovals with half axes within `sizes` over a disc of radius `spread`.

    Float32 (side, side) in [0, 1], each oval of its own strength.
    """
    plane = np.zeros((side, side), np.uint8)
    scale = side / 2.0 * SUBPIXELS
    for radius, turn, long, short, tilt, strength in rng.random((count, 6)):
        reach, around = spread * np.sqrt(radius), 2.0 * np.pi * turn
        half = sizes[0] + (sizes[1] - sizes[0]) * long
        cv2.ellipse(
            plane,
            (
                int((1.0 + reach * np.cos(around)) * scale),
                int((1.0 + reach * np.sin(around)) * scale),
            ),
            (int(half * scale), int(half * (0.55 + 0.45 * short) * scale)),
            180.0 * tilt,
            0.0,
            360.0,
            150 + 105 * strength,
            cv2.FILLED,
            cv2.LINE_AA,
            SUBPIXEL_BITS,
        )
    return plane * np.float32(1 / 255)


def vessels(rng: np.random.Generator, side: int, trunks: int, reach: float) -> Plane:
    """Draws `trunks` winding vessels that start near the radius `reach`, run inwards and branch.

    Float32 (side, side) in [0, 1].
    """
    plane = np.zeros((side, side), np.uint8)
    scale = side / 2.0
    for turn in rng.uniform(0.0, 2.0 * np.pi, trunks):
        # Points are complex numbers, so that a heading is an exponent.
        start, inwards = reach * np.exp(1j * turn), turn + np.pi + rng.normal(0.0, 0.5)
        todo = [(start, inwards, 0.85 * reach, VESSEL_WIDTH)]
        while todo:
            origin, heading, length, width = todo.pop()
            headings = heading + rng.normal(0.0, 0.32, VESSEL_STEPS).cumsum()
            course = origin + (length / VESSEL_STEPS * np.exp(1j * headings)).cumsum()
            pixels = np.column_stack([course.real, course.imag]) * (scale * SUBPIXELS)
            thickness, shade = max(1, round(width * scale)), 90 + 165 * width / VESSEL_WIDTH
            cv2.polylines(
                plane,
                [(pixels + scale * SUBPIXELS).astype(np.int32)],
                False,
                shade,
                thickness,
                cv2.LINE_AA,
                SUBPIXEL_BITS,
            )
            if width > 0.4 * VESSEL_WIDTH:
                forks = rng.integers(2, VESSEL_STEPS, 2)
                bends = headings[forks] + rng.uniform(0.5, 1.1, 2) * (1.0, -1.0)
                for fork, bend in zip(forks, bends, strict=True):
                    todo.append((course[fork], bend, 0.55 * length, 0.6 * width))
    return plane * np.float32(1 / 255)

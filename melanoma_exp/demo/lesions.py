"""Drawn skin lesions: dermoscopy-like pictures of nine diagnoses, made from random numbers only.

`render` draws one view of one lesion and is a pure function of its two generators. The `lesion`
generator decides everything that belongs to the patient (skin, outline, colours, structures), the
`view` generator everything that belongs to the photograph. Starting the same `lesion` stream again
with another `view` stream therefore gives a second photograph of the same lesion. `write` lays a
whole data set out on disk: as imbalanced as the official one, some lesions photographed repeatedly.

All classes take one drawing path and differ only in their row of traits. The rows overlap and a
share of the lesions borrows from a look-alike class, so that the set is neither trivial nor
hopeless for a classifier.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from melanoma_exp.demo.patterns import Plane, axes, mesh, noise, polar, smoothstep
from melanoma_exp.demo.photograph import EXTENT, photograph
from melanoma_exp.demo.traits import CLASSES, LAYERS, Colour, Traits, individual

__all__ = ["CLASSES", "TEST_COUNTS", "TRAIN_COUNTS", "render", "write"]

TRAIN_COUNTS: tuple[int, ...] = (57, 188, 48, 219, 179, 231, 39, 91, 70)
TEST_COUNTS: tuple[int, ...] = (8, 8, 8, 8, 8, 8, 2, 8, 2)
"""Images per class: half the official counts, rounded up."""

COUNTS = {"Train": TRAIN_COUNTS, "Test": TEST_COUNTS}
REPEATED_SHARE = 0.2
LESION_STREAM, PATIENT_STREAM, VIEWS_STREAM, VIEW_STREAMS = range(4)
JPEG_OPTIONS = (cv2.IMWRITE_JPEG_QUALITY, 92)

MEAN_AGES = (68, 66, 46, 60, 42, 62, 66, 72, 48)
UNRECORDED_SHARE = 0.04
SITES = {  # how often elsewhere, and of the diagnoses that sun brings on
    "anterior torso": (0.22, 0.12),
    "head/neck": (0.12, 0.48),
    "lower extremity": (0.24, 0.12),
    "palms/soles": (0.03, 0.01),
    "posterior torso": (0.27, 0.12),
    "upper extremity": (0.12, 0.15),
}
SUN_LABELS = (0, 1, 5, 7)

REACH = 0.95
BEND = 0.025
WAVES = np.arange(1, 11)
SLOW_WAVES = 4
OUTLINE_STEPS = 360
PALETTE_STEPS = np.linspace(0.0, 1.0, 256)
PATCH_KNOTS = 20

SKIN_TONES: tuple[Colour, ...] = (
    (242, 214, 202),
    (232, 194, 172),
    (214, 170, 146),
    (182, 132, 104),
    (128, 88, 66),
)


def render(
    label: int, lesion: np.random.Generator, view: np.random.Generator, size: int
) -> np.ndarray:
    """Draws one photograph of one lesion.

    `label` is an index into `CLASSES`, `lesion` and `view` are at the start of their streams,
    `size` is the picture's side in pixels, at least 8. Returns uint8 (size, size, 3) RGB.
    """
    margin = round((EXTENT - 1.0) * size / 2.0)
    traits = individual(label, lesion)
    tone = _ramp(SKIN_TONES, np.full((1, 1), lesion.beta(1.4, 3.2), np.float32))
    canvas = _skin(lesion, size + 2 * margin, tone)
    patch = canvas[:, margin:-margin, margin:-margin].copy()
    depth = _depth(lesion, size, traits)
    _add_ground(lesion, patch, depth, traits, tone)
    _add_structures(lesion, patch, depth, traits)
    picture: Plane = cv2.merge(list(canvas))
    picture[margin:-margin, margin:-margin] = _bent(lesion, cv2.merge(list(patch)))
    return photograph(view, picture, size)


def _ramp(colours: tuple[Colour, ...], position: Plane) -> Plane:
    """Looks positions in [0, 1] up on a colour ramp; float32 (3, ...)."""
    stops = np.linspace(0.0, 1.0, len(colours))
    channels = zip(*colours, strict=True)
    table = np.array([np.interp(PALETTE_STEPS, stops, channel) for channel in channels], np.float32)
    index = np.clip(position * 255.0, 0, 255).astype(np.uint8)
    return table.take(index, axis=1)


def _column(values: tuple[float, ...] | np.ndarray) -> Plane:
    """Shapes three numbers to float32 (3, 1, 1), which spreads over planes (3, side, side)."""
    return np.asarray(values, np.float32).reshape(3, 1, 1)


def _skin(rng: np.random.Generator, side: int, tone: Plane) -> Plane:
    """Draws bare skin of a tone, float32 (3, side, side): mottled by blood, with fine furrows."""
    flush = _column((0.25, 1.0, 0.8)) * np.float32(rng.uniform(3.0, 9.0))
    furrows = np.float32(rng.uniform(2.0, 9.0)) * smoothstep(mesh(rng, side, 38), 0.35, 0.7)
    return tone + flush * noise(rng, side, 7, 40) - furrows


def _depth(rng: np.random.Generator, side: int, traits: Traits) -> Plane:
    """Draws the outline and measures depth under it: 0 at the rim, 1 at the centre, < 0 outside."""
    radius, angle = polar(side)
    slow, fast = np.split(WAVES, [SLOW_WAVES])
    strengths = np.concatenate([traits.asymmetry / slow, np.full(len(fast), 0.6 * traits.ragged)])
    strengths *= rng.normal(0.0, 0.7, len(WAVES))
    phases = rng.uniform(0.0, 2.0 * np.pi, len(WAVES))
    turn = np.linspace(0.0, 2.0 * np.pi, OUTLINE_STEPS, endpoint=False)
    outline = 1.0 + strengths @ np.cos(WAVES[:, None] * turn + phases[:, None])
    table = (traits.radius * np.clip(outline, 0.45, 1.6)).astype(np.float32)
    index = (angle * np.float32(OUTLINE_STEPS / (2.0 * np.pi))).astype(np.int32) % OUTLINE_STEPS
    depth = 1.0 - radius / table[index]
    depth += np.float32(1.1 * traits.ragged) * noise(rng, side, 8, 16, 32)
    # However large a lesion, it ends within the patch and so is never mirrored at the canvas's rim.
    return np.minimum(depth, (REACH - radius) * 4.0)


def _add_ground(
    rng: np.random.Generator, patch: Plane, depth: Plane, traits: Traits, tone: Plane
) -> None:
    """Lays the lesion's own colours over the skin, in place."""
    wander = np.float32(0.45 * traits.variety) * noise(rng, len(depth), 4, 8, 16, 32)
    ground = _ramp(traits.palette, 0.12 + 0.6 * depth + wander)
    shade = rng.normal(1.0, 0.1) * rng.normal(1.0, 0.025, 3)
    ground *= _column(shade) * (0.45 + 0.55 * tone / _column(SKIN_TONES[1]))
    cover = np.float32(traits.cover) * smoothstep(depth, -0.5 * traits.edge, traits.edge)
    patch += cover * (ground - patch)


def _bent(rng: np.random.Generator, patch: Plane) -> Plane:
    """Bends a patch like soft tissue, fixed at its rim, so that no structure stays geometric."""
    side = len(patch)
    give = np.float32(BEND * side / 2.0) * smoothstep(polar(side)[0], 1.0, 0.7)
    across, down = (
        (line + 1.0) * np.float32((side - 1) / 2.0) + give * noise(rng, side, 9, 20)
        for line in axes(side)
    )
    return cv2.remap(patch, across, down, cv2.INTER_LINEAR)


def _add_structures(rng: np.random.Generator, patch: Plane, depth: Plane, traits: Traits) -> None:
    """Lays the structures the lesion has over its ground, in place."""
    side = len(depth)
    places: dict[tuple[float, float], Plane] = {}
    for name, layer in LAYERS.items():
        opacity = np.float32(traits.structures[name])
        if opacity < 0.05:
            continue
        low, high = layer.zone
        if layer.zone not in places:
            places[layer.zone] = smoothstep(depth, low, low + 0.2)
            if high < 1.0:
                places[layer.zone] -= smoothstep(depth, high, high + 0.2)
        # Nowhere in a lesion is a structure complete: it is there in patches.
        patches = smoothstep(noise(rng, PATCH_KNOTS, 5), -1.1, 0.4) * opacity
        cover = cv2.resize(patches, (side, side)) * places[layer.zone] * layer.pattern(rng, side)
        patch += cover * (_column(layer.colour) - patch)


def _stream(*key: int) -> np.random.Generator:
    """Starts the stream of a key; keys must be of one length, as NumPy pads short ones with 0."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(key)))


def _patient(label: int, rng: np.random.Generator) -> tuple[int | str, str, str]:
    """Draws age in years, sex and site on the body; each is empty where not recorded."""
    age = int(np.clip(5 * round(rng.normal(MEAN_AGES[label], 12.0) / 5), 15, 85))
    sex = str(rng.choice(["female", "male"]))
    odds = [shares[label in SUN_LABELS] for shares in SITES.values()]
    site = str(rng.choice(list(SITES), p=odds))
    known = rng.random(3) >= UNRECORDED_SHARE
    return age if known[0] else "", sex if known[1] else "", site if known[2] else ""


def _entries(seed: int) -> Iterator[tuple[int, int, int, int]]:
    """Lists the set's images as (part, label, lesion, view), the views of a lesion in a row."""
    for part, counts in enumerate(COUNTS.values()):
        for label, count in enumerate(counts):
            lesion = 0
            while count > 0:
                rng = _stream(seed, part, label, lesion, VIEWS_STREAM)
                views = int(rng.integers(2, 4)) if rng.random() < REPEATED_SHARE else 1
                for view in range(min(views, count)):
                    yield part, label, lesion, view
                count -= views
                lesion += 1


def write(root: Path, size: int = 96, seed: int = 20) -> None:
    """Writes the demo set: one JPEG per image under Train/ and Test/ by class, and metadata.csv.

    Every image comes from streams of its own, so it is the same on every call. All views of a
    lesion are in one part. Existing files of the same name are replaced.

    Args:
        root: Folder to write into; made if missing.
        size: Side of the square images in pixels.
        seed: Names the set; every seed gives other lesions.
    """
    folders = [[root / part / name for name in CLASSES] for part in COUNTS]
    for folder in (folder for part_folders in folders for folder in part_folders):
        folder.mkdir(parents=True, exist_ok=True)
    lesion_numbers: dict[tuple[int, ...], int] = {}
    with (root / "metadata.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream, lineterminator="\n")
        table.writerow(["image_id", "label", "lesion_id", "age", "sex", "site"])
        for number, (part, label, lesion, view) in enumerate(_entries(seed), start=1):
            key = (seed, part, label, lesion)
            image = render(
                label, _stream(*key, LESION_STREAM), _stream(*key, VIEW_STREAMS + view), size
            )
            image_id = f"DEMO_{number:07d}"
            _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], JPEG_OPTIONS)
            (folders[part][label] / f"{image_id}.jpg").write_bytes(encoded.tobytes())
            lesion_number = lesion_numbers.setdefault(key, len(lesion_numbers) + 1)
            patient = _patient(label, _stream(*key, PATIENT_STREAM))
            table.writerow([image_id, CLASSES[label], f"DEMO_L{lesion_number:06d}", *patient])

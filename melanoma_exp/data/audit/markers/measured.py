"""Measures every marker in every file, once: the results are cached in blocks by contents."""

import os.path
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma_exp.data.audit.markers import border, ink, off_topic, ruler, text
from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, obtain
from melanoma_exp.system.threads import threaded_map

SIDE = 256  # pixels of the longer side; smaller pictures are enlarged, so that limits mean one size
FINE = 384  # where characters are looked for
BLOCK = 1024  # images of one entry of the cache: what a stopped audit does not do again
VERSION = 3  # raise it when the same file would give other measures


@dataclass(frozen=True)
class Measured:
    """What `n` images hold beside the lesion, before any limit.

    Attributes:
        corners: float32 (n, 4), lightness of the corners against the picture beside them.
        frame: float32 (n, 4), width of even bars at top, bottom, left and right, as shares.
        ticks: float32 (n,), of the clearest ruler.
        ink: float32 (n,), share of the picture.
        characters: float32 (n,), of the longest line.
        plain: float32 (n, 4), see `off_topic.measure`.
        look: float32 (n, 9), see `off_topic.measure`.
    """

    corners: np.ndarray
    frame: np.ndarray
    ticks: np.ndarray
    ink: np.ndarray
    characters: np.ndarray
    plain: np.ndarray
    look: np.ndarray


NAMES = tuple(field.name for field in fields(Measured))


def load(
    paths: Sequence[Path], file_digests: Sequence[str], max_pixels: int, cache: Path
) -> Measured:
    """Returns the measures of readable files, block by block from the cache where it has them.

    Args:
        paths: The files.
        file_digests: SHA-256 of each.
        max_pixels: The survey has opened them under this limit.
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written, or a file is no longer what it was.
    """
    blocks = []
    folder = os.path.commonpath([path.absolute() for path in paths])
    for start in range(0, len(paths), BLOCK):
        some, digests = paths[start : start + BLOCK], file_digests[start : start + BLOCK]

        def make(into: Path, some: Sequence[Path] = some, digests: Sequence[str] = digests) -> None:
            _write(some, digests, max_pixels, into)

        key = digest([VERSION, list(digests)])
        with closing(obtain(cache, "markers", key, About(folder, len(some)), make)) as entry:
            blocks.append({name: np.load(entry.folder / f"{name}.npy") for name in NAMES})
    return Measured(**{name: np.concatenate([b[name] for b in blocks]) for name in NAMES})


def of_image(image: Image.Image) -> dict[str, np.ndarray]:
    """Returns the measures of one image by the names of `Measured`.

    Args:
        image: RGB, of any size.
    """
    import cv2

    rgb = _resized(image, SIDE)
    lab = cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    lightness = np.ascontiguousarray(lab[..., 0])
    frame = border.frame(lightness)
    plain, look = off_topic.measure(rgb, lab)
    return {
        "corners": border.corners(border.within(lightness, frame)),
        "frame": frame,
        "ticks": np.array(ruler.ticks(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)), np.float32),
        "ink": np.array(ink.share(lab), np.float32),
        "characters": np.array(text.characters(_resized(image, FINE)), np.float32),
        "plain": plain,
        "look": look,
    }


def _write(
    paths: Sequence[Path], file_digests: Sequence[str], max_pixels: int, folder: Path
) -> None:
    def look(row: int) -> dict[str, np.ndarray]:
        content = read_unchanged(paths[row], file_digests[row], max_pixels)
        return of_image(open_rgb(content, max_pixels, draft=(2 * FINE, 2 * FINE)))

    found = threaded_map(look, range(len(paths)))
    for name in NAMES:
        np.save(folder / f"{name}.npy", np.stack([one[name] for one in found]))


def _resized(image: Image.Image, side: int) -> np.ndarray:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    return np.asarray(image.resize(size, Image.Resampling.BILINEAR))

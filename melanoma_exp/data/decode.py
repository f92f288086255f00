"""Decodes image files once into one array on disk that all runs share.

The cache is keyed by the files' contents and by how they are decoded.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.spec import UserError, digest
from melanoma_exp.system import arrays
from melanoma_exp.system.cache.entry import About, hold, obtain
from melanoma_exp.system.threads import threaded_map

PIXELS = "pixels.npy"
VERSION = 1  # raise it when the same file would decode to other pixels


@dataclass(frozen=True)
class Decoding:
    """How image files become pixels.

    Attributes:
        size: Height and width in pixels.
        resize: A Pillow filter's name.
        max_pixels: Larger images are refused before they are decoded.
        name: Of the dataset, for people.
    """

    size: tuple[int, int]
    resize: str
    max_pixels: int
    name: str


def load(
    paths: Sequence[Path],
    file_digests: Sequence[str],
    unreadable: Iterable[int],
    how: Decoding,
    cache: Path,
) -> np.ndarray:
    """Returns the decoded images, from the cache where it has them.

    Args:
        paths: The files, in row order.
        file_digests: SHA-256 of each.
        unreadable: Rows that are left black.
        how: Size, resampling and pixel limit.
        cache: The folder of cached arrays.

    Returns:
        uint8 (n, height, width, 3), memory-mapped, read-only; in use as long as it is there.

    Raises:
        UserError: The cache cannot be written, or a file is no longer what it was.
    """
    key = digest([VERSION, how.size, how.resize, how.max_pixels, list(file_digests)])
    rows = sorted(set(range(len(paths))) - set(unreadable))
    height, width = how.size
    about = About(f"{how.name} {height}x{width} {how.resize}", len(paths))

    def make(folder: Path) -> None:
        _build(paths, file_digests, rows, how, folder)

    entry = obtain(cache, "decoded", key, about, make)
    return hold(np.load(entry.folder / PIXELS, mmap_mode="r"), entry)


def decode(source: Path | bytes, size: tuple[int, int], resize: str, max_pixels: int) -> np.ndarray:
    """Decodes one image the way training does.

    EXIF rotation is applied; CMYK, palette and grey images become RGB; transparent ones are put on
    white; 16-bit ones are scaled to 8 bits.

    Args:
        source: An image file, or the content of one.
        size: Height and width of the result in pixels.
        resize: A Pillow filter's name; all but `nearest` average over the source pixels.
        max_pixels: Larger images are refused before they are decoded.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        ValueError: The file is not a readable image, with the reason.
    """
    rgb = open_rgb(source, max_pixels, draft=(2 * size[1], 2 * size[0]))
    if rgb.size != (size[1], size[0]):
        rgb = rgb.resize((size[1], size[0]), Image.Resampling[resize.upper()])
    return np.asarray(rgb)


def _build(
    paths: Sequence[Path],
    file_digests: Sequence[str],
    rows: Sequence[int],
    how: Decoding,
    folder: Path,
) -> None:
    height, width = how.size
    begin = arrays.create(folder / PIXELS, (len(paths), height, width, 3))

    def fill(row: int) -> None:
        content = read_unchanged(paths[row], file_digests[row], how.max_pixels)
        try:
            image = decode(content, how.size, how.resize, how.max_pixels)
        except ValueError as error:  # it was readable a moment ago
            raise UserError(f"{paths[row]}: {error}") from error
        arrays.write(folder / PIXELS, begin + row * image.nbytes, image)

    threaded_map(fill, rows)

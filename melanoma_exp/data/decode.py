"""Decodes image files once into one array on disk that all runs share.

The cache is keyed by the files' contents and by how they are decoded.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from melanoma_exp.spec import UserError, digest
from melanoma_exp.system import arrays
from melanoma_exp.system.cache.entry import About, hold, obtain
from melanoma_exp.system.threads import threaded_map

# Pillow's own limit against decompression bombs gives way to `dataset.max_pixels`, which is checked
# after the header is read and before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

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
        UserError: The cache cannot be written.
    """
    key = digest([VERSION, how.size, how.resize, how.max_pixels, list(file_digests)])
    rows = sorted(set(range(len(paths))) - set(unreadable))
    height, width = how.size
    about = About(f"{how.name} {height}x{width} {how.resize}", len(paths))
    entry = obtain(cache, "decoded", key, about, lambda folder: _build(paths, rows, how, folder))
    return hold(np.load(entry.folder / PIXELS, mmap_mode="r"), entry)


def decode(source: Path | bytes, size: tuple[int, int], resize: str, max_pixels: int) -> np.ndarray:
    """Decodes one image the way training does.

    EXIF rotation is applied; CMYK, palette and grey images become RGB; transparent ones are put on
    white; 16-bit ones are scaled to 8 bits.

    Args:
        source: A JPEG or PNG file, or the content of one.
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


def open_rgb(
    source: Path | bytes, max_pixels: int, draft: tuple[int, int] | None = None
) -> Image.Image:
    """Opens one image as upright RGB.

    Args:
        source: A JPEG or PNG file, or its content.
        max_pixels: Larger images are refused before they are decoded.
        draft: A width and height that are enough: JPEGs can be decoded at 1/2, 1/4 or 1/8. Twice
            the size wanted in the end keeps a resampling filter exact.

    Raises:
        ValueError: The file is not a readable image, with the reason.
    """
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise ValueError("the file is empty")
    try:
        with Image.open(file, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(
                    f"{image.width}x{image.height} pixels are over dataset.max_pixels={max_pixels}"
                )
            if draft:
                image.draft("RGB", draft)
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ValueError("not a readable JPEG or PNG image") from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"not a readable JPEG or PNG image: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _build(paths: Sequence[Path], rows: Sequence[int], how: Decoding, folder: Path) -> None:
    height, width = how.size
    begin = arrays.create(folder / PIXELS, (len(paths), height, width, 3))

    def fill(row: int) -> None:
        try:
            image = decode(paths[row], how.size, how.resize, how.max_pixels)
        except ValueError as error:  # it was readable a moment ago
            raise UserError(f"{paths[row]}: {error}") from error
        arrays.write(folder / PIXELS, begin + row * image.nbytes, image)

    threaded_map(fill, rows)

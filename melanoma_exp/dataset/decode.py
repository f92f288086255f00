"""Decodes image files once into one memory-mapped array that all runs share.

The cache is keyed by the files' contents and by how they are decoded. It is written aside, synced
and renamed, so a reader never meets a half-written one; two processes that build the same entry at
once write the same bytes and the last rename wins.
"""

import hashlib
import io
import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from melanoma_exp.dataset.spec import Dataset
from melanoma_exp.spec import UserError, digest

# Pillow's own limit against decompression bombs gives way to `dataset.max_pixels`, which is checked
# after the header is read and before anything is decoded.
Image.MAX_IMAGE_PIXELS = None

VERSION = 1  # raise it when the same file would decode to other pixels


@dataclass(frozen=True)
class Decoded:
    """Pixels uint8 (n, h, w, 3), the reason for each unreadable row, and SHA-256 of each file."""

    pixels: np.ndarray
    bad: dict[int, str]
    file_digests: tuple[str, ...]


def load(paths: Sequence[Path], spec: Dataset, cache: Path) -> Decoded:
    """Returns the decoded images, from the cache where it has them.

    Args:
        paths: The files, in row order.
        spec: Says the size, the resampling and the pixel limit.
        cache: The folder of cached arrays.

    Raises:
        UserError: The cache cannot be written.
    """
    with ThreadPoolExecutor() as pool:
        file_digests = tuple(pool.map(_file_digest, paths))
        key = digest([VERSION, spec.image_size, spec.resize, spec.max_pixels, file_digests])
        place = cache / "decoded" / f"{key}.npy"
        if not (place.exists() and place.with_suffix(".json").exists()):
            try:
                _build(paths, spec, place, pool)
            except OSError as error:
                raise UserError(f"cache.dir: cannot write {place.parent}: {error}") from error
    bad = json.loads(place.with_suffix(".json").read_text())["bad"]
    pixels = np.load(place, mmap_mode="r")
    return Decoded(pixels, {int(row): reason for row, reason in bad.items()}, file_digests)


def decode(source: Path | bytes, size: tuple[int, int], resize: str, max_pixels: int) -> np.ndarray:
    """Decodes one image the way training does.

    EXIF rotation is applied; CMYK, palette and grey images become RGB; transparent ones are laid on
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
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    if not (len(source) if isinstance(source, bytes) else source.stat().st_size):
        raise ValueError("the file is empty")
    try:
        with Image.open(file, formats=("JPEG", "PNG")) as image:
            if image.width * image.height > max_pixels:
                raise ValueError(
                    f"{image.width}x{image.height} pixels are over dataset.max_pixels={max_pixels}"
                )
            # JPEGs can be decoded at 1/2, 1/4 or 1/8; twice the target keeps the filter exact.
            image.draft("RGB", (2 * size[1], 2 * size[0]))
            image.load()
            rgb = _to_rgb(ImageOps.exif_transpose(image))
    except UnidentifiedImageError:
        raise ValueError("not a readable JPEG or PNG image") from None
    except (OSError, SyntaxError, EOFError) as error:
        raise ValueError(f"not a readable JPEG or PNG image: {error}") from error
    if rgb.size != (size[1], size[0]):
        rgb = rgb.resize((size[1], size[0]), Image.Resampling[resize.upper()])
    return np.asarray(rgb)


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip at 255
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _build(paths: Sequence[Path], spec: Dataset, place: Path, pool: ThreadPoolExecutor) -> None:
    height, width = spec.image_size
    place.parent.mkdir(parents=True, exist_ok=True)
    aside = place.with_name(f"{place.stem}.{os.getpid()}.tmp")
    shape = (len(paths), height, width, 3)
    pixels = np.lib.format.open_memmap(aside, "w+", np.uint8, shape)
    bad: dict[int, str] = {}

    def fill(row: int) -> None:
        try:
            pixels[row] = decode(paths[row], spec.image_size, spec.resize, spec.max_pixels)
        except ValueError as error:
            bad[row] = str(error)

    try:
        _reserve(aside)
        list(pool.map(fill, range(len(paths))))
        pixels.flush()
        os.replace(aside, place)
        note = place.with_suffix(f".{os.getpid()}.json.tmp")
        note.write_text(json.dumps({"bad": dict(sorted(bad.items()))}))
        os.replace(note, place.with_suffix(".json"))
    finally:
        aside.unlink(missing_ok=True)


def _reserve(path: Path) -> None:
    """Claims the file's disk blocks now: a full disk is an error here, later a crash (SIGBUS)."""
    if not hasattr(os, "posix_fallocate"):  # macOS
        return
    with path.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, path.stat().st_size)

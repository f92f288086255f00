"""Reads one image file, or says why it is not a whole image.

Survey, training, `predict` and the served model all read images here. What a file is its first
bytes say, whatever its suffix; its header says how many pixels it has before any is decoded. Of a
file of several pages or frames the first counts, and 16 bits a channel give way to their upper 8.
"""

import hashlib
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma_exp.data.formats import jpeg
from melanoma_exp.data.formats.opened import NotInstalledError, opened
from melanoma_exp.spec import UserError
from melanoma_exp.system import files

# Pillow's own limit against decompression bombs gives way to `dataset.max_pixels`, which is checked
# after the header is read and before anything is decoded.
Image.MAX_IMAGE_PIXELS = None
# About EXIF and palettes, without the file's name, in the middle of a progress bar.
warnings.filterwarnings("ignore", module=r"PIL\.")

ORIENTATION = 0x0112  # of EXIF
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
BYTES_A_PIXEL, METADATA = 8, 2**26  # bytes that a file of so many pixels has at most
BAND = 256  # rows
PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
CHECKED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")  # chunks that the pixels depend on


def read(path: Path, max_pixels: int) -> bytes:
    """Returns the content of an image file.

    Raises:
        ValueError: It is no file, cannot be read, or is larger than `max_pixels` can be; with the
            reason.
    """
    try:
        return files.read(path, BYTES_A_PIXEL * max_pixels + METADATA)
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def read_unchanged(path: Path, sha256: str, max_pixels: int) -> bytes:
    """Returns the content of an image file that must be what it was when it was hashed.

    Raises:
        UserError: It is not, or is gone.
    """
    try:
        content = read(path, max_pixels)
        if hashlib.sha256(content).hexdigest() == sha256:
            return content
        reason = "changed while the dataset was read"
    except ValueError as error:
        reason = str(error)
    raise UserError(f"{path}: {reason}; start again when nothing writes to the dataset")


def size(content: bytes) -> tuple[int, int]:
    """Returns width and height by the header of an image.

    Raises:
        NotInstalledError: A library that reads its format is not there.
        ValueError: There is no such header.
    """
    try:
        with opened(content) as image:
            return image.size
    except Exception as error:
        raise _unreadable(error) from error


def open_rgb(
    source: Path | bytes, max_pixels: int, draft: tuple[int, int] | None = None
) -> Image.Image:
    """Opens one image as upright RGB.

    Args:
        source: A file of a format that `formats.opened` knows, or its content.
        max_pixels: Larger images are refused before they are decoded.
        draft: A width and height that are enough: JPEGs can be decoded at 1/2, 1/4 or 1/8. Twice
            the size wanted in the end keeps a resampling filter exact.

    Raises:
        NotInstalledError: A library that reads its format is not there.
        ValueError: It is not a readable, whole image, with the reason.
    """
    content = source if isinstance(source, bytes) else read(source, max_pixels)
    if not content:
        raise ValueError("the file is empty")
    try:
        with opened(content) as image:
            if image.width * image.height <= max_pixels:
                return _upright(image, content, draft)
            pixels = f"{image.width}x{image.height} pixels"
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise _unreadable(error) from error
    raise ValueError(f"{pixels} are over dataset.max_pixels={max_pixels}")


def _upright(image: Image.Image, content: bytes, draft: tuple[int, int] | None) -> Image.Image:
    if content.startswith(JPEG_START):
        rgb = jpeg.pixels(image, content, draft)
    else:
        if content.startswith(PNG_START):
            _check_chunks(content)
        image.load()
        rgb = _to_rgb(image)
    turn = TURNS.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _unreadable(error: Exception) -> ValueError:
    if isinstance(error, NotInstalledError):
        return error
    # Pillow's own words for a file that is none are longer; what else is raised says nothing.
    said = isinstance(error, ValueError | OSError | SyntaxError) and str(error)
    reason = (
        ""
        if isinstance(error, Image.UnidentifiedImageError) or not said
        else f": {' '.join(said.split())}"
    )
    return ValueError(f"not a readable image{reason}")


def _check_chunks(content: bytes) -> None:
    """Compares the checksums of a PNG, which Pillow leaves out for the pixels.

    Raises:
        ValueError: One is wrong, or the end is missing.
    """
    at, name = len(PNG_START), b""
    while name != b"IEND":
        if at + 12 > len(content):
            raise ValueError("the file is cut off")
        length, name = struct.unpack(">I4s", content[at : at + 8])
        end = at + 8 + length
        if name in CHECKED:
            if zlib.crc32(memoryview(content)[at + 4 : end]).to_bytes(4) != content[end : end + 4]:
                raise ValueError(f"the checksum of its part {name.decode()} is wrong")
        at = end + 4


def _orientation(image: Image.Image) -> int:
    """Returns how an image is turned by its EXIF, 1 where that cannot be read."""
    try:
        return int(image.getexif().get(ORIENTATION, 1))
    except Exception:  # an image is whole where its metadata is not
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("its pixels are fractions, of which nothing says what is white")
    if image.mode.startswith("I"):  # 16-bit grey: Pillow would clip at 255
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 0xFFFF:
            raise ValueError("its pixels are not of 16 bits, and nothing says what is white")
        return Image.fromarray((grey >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        return _on_white(image)
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """Returns a transparent image on white, made band by band: a large one needs no third copy."""
    rgb = Image.new("RGB", image.size)
    for top in range(0, image.height, BAND):
        layer = image.crop((0, top, image.width, min(top + BAND, image.height))).convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        rgb.paste(Image.alpha_composite(white, layer).convert("RGB"), (0, top))
    return rgb

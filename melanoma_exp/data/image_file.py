"""Reads one image file, or says why it is not a whole image.

Survey, training, `predict` and the served model all read images here. JPEGs are decoded by
libjpeg-turbo with its warnings as errors: Pillow loses them, and shows a file that was cut or
partly overwritten as if it were whole. Pixels are those that Pillow gives, at every scale. BMP,
TIFF and WebP, which hold the pictures of some published sets, are decoded by Pillow: of a TIFF the
first page. What a file is its first bytes say, whatever its suffix.
"""

import hashlib
import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

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
# Bytes of zeros in a row that no coder writes unless the picture is flat there; 6,478 photographs
# have 5 at most.
ZEROS = 64
SCANS = 100  # of a progressive JPEG; coders write about ten, and each costs a pass over the picture
BAND = 256  # rows
PNG_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
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
        ValueError: There is no such header.
    """
    try:
        with _opened(content) as image:
            return image.size
    except Exception as error:
        raise _unreadable(error) from error


def open_rgb(
    source: Path | bytes, max_pixels: int, draft: tuple[int, int] | None = None
) -> Image.Image:
    """Opens one image as upright RGB.

    Args:
        source: A file of one of `FORMATS`, or its content.
        max_pixels: Larger images are refused before they are decoded.
        draft: A width and height that are enough: JPEGs can be decoded at 1/2, 1/4 or 1/8. Twice
            the size wanted in the end keeps a resampling filter exact.

    Raises:
        ValueError: It is not a readable, whole image, with the reason.
    """
    content = source if isinstance(source, bytes) else read(source, max_pixels)
    if not content:
        raise ValueError("the file is empty")
    try:
        with _opened(content) as image:
            if image.width * image.height <= max_pixels:
                return _upright(image, content, draft)
            pixels = f"{image.width}x{image.height} pixels"
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise _unreadable(error) from error
    raise ValueError(f"{pixels} are over dataset.max_pixels={max_pixels}")


def _upright(image: Image.Image, content: bytes, draft: tuple[int, int] | None) -> Image.Image:
    if content.startswith(JPEG_START):
        rgb = _jpeg(image, content, draft)
    else:
        if content.startswith(PNG_START):
            _check_chunks(content)
        image.load()
        rgb = _to_rgb(image)
    turn = TURNS.get(_orientation(image))
    return rgb if turn is None else rgb.transpose(turn)


def _opened(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content), formats=FORMATS)


def _unreadable(error: Exception) -> ValueError:
    # Pillow's own words for a file that is none are longer; what else is raised says nothing.
    said = isinstance(error, ValueError | OSError | SyntaxError) and str(error)
    reason = "" if isinstance(error, Image.UnidentifiedImageError) or not said else f": {said}"
    return ValueError(f"not a readable image{reason}")


def _jpeg(image: Image.Image, content: bytes, draft: tuple[int, int] | None) -> Image.Image:
    """Returns the pixels of a JPEG that Pillow has opened."""
    import simplejpeg

    scale = 1
    if draft:  # Pillow's rule, which decoded pixels have always followed
        fits = min(image.width // draft[0], image.height // draft[1])
        scale = next(s for s in (8, 4, 2, 1) if s <= max(fits, 1))
    begin, end = _compressed(content)
    if content.count(b"\xff\xda", begin, end) > SCANS:
        raise ValueError(f"it has more than {SCANS} scans")
    form = {"L": "GRAY", "CMYK": "CMYK"}.get(image.mode, "RGB")
    least = {"min_height": -(-image.height // scale), "min_width": -(-image.width // scale)}
    try:
        pixels = simplejpeg.decode_jpeg(content, form, min_factor=scale, strict=True, **least)
    except ValueError as error:
        if "subsampling" not in str(error):
            raise
        form = "CMYK"  # TurboJPEG's interface lacks a few forms that libjpeg has
    _check_zeros(content[begin:end], content)
    if form == "CMYK":  # Pillow knows who stores it inverted
        image.draft("RGB", draft or image.size)
        return image.convert("RGB")
    if form == "GRAY":
        return Image.fromarray(pixels[..., 0]).convert("RGB")
    return Image.fromarray(pixels)


def _check_zeros(scan: bytes, content: bytes) -> None:
    """Refuses a JPEG that holds zeros where its picture is not flat, as lost sectors leave them.

    The zeros are codes, so a decoder may come to the end of the file without a warning. A coder
    writes them in a row only for blocks of one shade, of which a byte holds no less than one, and
    a third of all blocks are of luma.

    Raises:
        ValueError: It does.
    """
    if bytes(ZEROS) not in scan:
        return
    longest = max(map(len, scan.translate(_ZERO_OR_NOT).split(b"1")))
    with _opened(content) as image:
        grey = np.asarray(image.convert("L"))
    height, width = (side - side % 8 for side in grey.shape)
    blocks = grey[:height, :width].reshape(height // 8, 8, width // 8, 8)
    if 3 * int((np.ptp(blocks, axis=(1, 3)) == 0).sum()) < longest:
        raise ValueError(f"{longest} bytes of zeros overwrite the picture")


_ZERO_OR_NOT = b"\0" + b"1" * 255


def _compressed(content: bytes) -> tuple[int, int]:
    """Returns where the compressed pixels of a JPEG begin and end: behind metadata, before a tail.

    Metadata may hold a small JPEG of its own, and cameras append films.
    """
    at = 2
    while content[at : at + 2] != b"\xff\xda":
        at += 2 + int.from_bytes(content[at + 2 : at + 4]) if content[at + 1] != 0xFF else 1
    end = content.find(b"\xff\xd9", at)
    return at, end if end >= 0 else len(content)


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
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
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

"""Files that are called images and are none, or no whole ones."""

import functools
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from bad_inputs import Case, write
from formats import avif, dicom, heic
from pictures import picture
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from melanoma_exp.data import image_file

LIMIT = 10**7  # pixels
NAME = "photo.jpg"
SIZE = struct.pack(">HH", 200, 260)  # as a JPEG's header has it
NOISE = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
PNG = b"\x89PNG\r\n\x1a\n"
END = b"\xff\xd9"


def saved(form: str = "JPEG", **options: object) -> bytes:
    content = io.BytesIO()
    Image.fromarray(NOISE).save(content, form, **options)
    return content.getvalue()


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(name + content))
    return struct.pack(">I", len(content)) + name + content + checksum


def png(width: int, height: int, *chunks: bytes, depth: int = 8, colour: int = 2) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


def rows(n: int) -> bytes:
    return chunk(b"IDAT", zlib.compress(bytes(n)))


def within(content: bytes, change: bytes) -> bytes:
    half = len(content) // 2
    return content[:half] + change + content[half + len(change) :]


def scans(n: int) -> bytes:
    whole = saved(progressive=True)
    return whole[:-2] + whole[whole.rindex(b"\xff\xda") : -2] * n + END


@functools.cache
def contents() -> dict[str, bytes]:
    """Returns the content of each file, by what it is."""
    jpeg, whole, slow = saved(), saved("PNG"), saved(progressive=True)
    half, junk = len(jpeg) // 2, np.random.default_rng(1).bytes(512)
    bomb = zlib.compress(bytes(10**8))
    return {
        "an empty file": b"",
        "text": b"hello",
        "a web page": b"<html>404</html>",
        "a million zeros": bytes(10**6),
        "a GIF": saved("GIF"),
        "a HEIC": b"\0\0\0\x18ftypheic" + bytes(50),
        "a DICOM file": bytes(128) + b"DICM" + bytes(50),
        "an SVG": b"<svg/>",
        "a PDF": b"%PDF-1.4\n",
        "a ZIP": b"PK\3\4" + bytes(100),
        "a JPEG's first two bytes": jpeg[:2],
        "a JPEG's first and last two bytes": jpeg[:2] + END,
        "a JPEG, cut off": jpeg[:half],
        "a JPEG, cut off and closed": jpeg[:half] + END,
        "a JPEG without its end": jpeg[:-2],
        "a JPEG with 64 zeros": within(jpeg, bytes(64)),
        "a JPEG with 4 KiB of zeros": within(jpeg, bytes(4096)),
        "a JPEG with 512 bytes of 0xff": within(jpeg, b"\xff" * 512),
        "a JPEG with 512 random bytes": within(jpeg, junk),
        "a JPEG with its own first sector in the middle": within(jpeg, jpeg[:512]),
        "a JPEG that lacks 1 KiB": jpeg[:half] + jpeg[half + 1024 :],
        "a JPEG with 1 KiB twice": jpeg[:half] + jpeg[half - 1024 :],
        "a JPEG without quantisation": jpeg.replace(b"\xff\xdb", b"\xff\xee"),
        "a JPEG of no size": jpeg.replace(SIZE, bytes(4), 1),
        "a JPEG of 65,535 x 65,535": jpeg.replace(SIZE, b"\xff" * 4, 1),
        "a JPEG taller than its data": jpeg.replace(SIZE, struct.pack(">HH", 400, 260), 1),
        "a JPEG shorter than its data": jpeg.replace(SIZE, struct.pack(">HH", 100, 260), 1),
        "a JPEG with a part of no length": jpeg[:4] + b"\0\0" + jpeg[6:],
        "a JPEG with a part of 64 KiB": jpeg[:4] + b"\xff\xff" + jpeg[6:],
        "a JPEG of 12 bits": jpeg.replace(b"\xff\xc0\0\x11\x08", b"\xff\xc0\0\x11\x0c"),
        "a JPEG, lossless": jpeg.replace(b"\xff\xc0", b"\xff\xc3"),
        "a progressive JPEG, cut off and closed": slow[: len(slow) // 2] + END,
        "a progressive JPEG with 4 KiB of zeros": within(slow, bytes(4096)),
        "a progressive JPEG of 200 scans": scans(200),
        "a PNG's first eight bytes": PNG,
        "a PNG, cut off": whole[: len(whole) // 2],
        "a PNG, cut off and closed": whole[: len(whole) // 2] + whole[-12:],
        "a PNG without its end": whole[:-12],
        "a PNG with one bit flipped": within(whole, bytes([whole[len(whole) // 2] ^ 1])),
        "a PNG of 10,000 x 10,000": png(10**4, 10**4, rows(1)),
        "a PNG of 2,147,483,647 x 2,147,483,647": png(2**31 - 1, 2**31 - 1),
        "a PNG of no size": png(0, 0, rows(0)),
        "a PNG with too few rows": png(100, 100, rows(50)),
        "a PNG without pixels": png(10, 10),
        "a PNG of 3 bits": png(10, 10, rows(400), depth=3),
        "a PNG without its palette": png(10, 10, rows(110), colour=3),
        "a PNG with 100 MB of text": png(10, 10, chunk(b"zTXt", b"a\0\0" + bomb), rows(310)),
        "a PNG with 100 MB of a colour profile": png(
            10, 10, chunk(b"iCCP", b"a\0\0" + bomb), rows(310)
        ),
        "a PNG with a part of 4 GB": PNG + b"\xff\xff\xff\xffIDAT",
        **of_other_formats(jpeg),
    }


def of_other_formats(jpeg: bytes) -> dict[str, bytes]:
    image = Image.fromarray(NOISE)
    photo, modern, scan = heic(image), avif(image), dicom(NOISE)
    box, large = struct.pack(">II", 260, 200), struct.pack(">II", 2**31 - 1, 2**31 - 1)
    inside = {"kind": "YBR_FULL_422", "Rows": 200, "Columns": 260, "SamplesPerPixel": 3}
    fractions = io.BytesIO()
    Image.fromarray(NOISE[..., 0] / np.float32(255)).save(fractions, "TIFF")
    return {
        "a TIFF, cut off": saved("TIFF")[:9999],
        "a TIFF of fractions": fractions.getvalue(),
        "a HEIC, cut off": photo[: len(photo) // 2],
        "a HEIC of 2,147,483,647 x 2,147,483,647": photo.replace(box, large),
        "an AVIF, cut off": modern[: len(modern) // 2],
        "a film": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(50),
        "a DICOM, cut off": scan[:-1],
        "a DICOM of 65,535 x 65,535": dicom(NOISE, Rows=65535, Columns=65535),
        "a DICOM taller than its data": dicom(NOISE, Rows=400),
        "a DICOM, deflated": dicom(NOISE, syntax=DeflatedExplicitVRLittleEndian),
        "a DICOM of an odd colour space": dicom(NOISE, "YBR_PARTIAL_420"),
        "a DICOM of a JPEG, cut off and closed": dicom([jpeg[:9999] + END], **inside),
        "a DICOM without pixels": scan[: scan.index(b"\xe0\x7f\x10\0")],
    }


def bind(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # an address has 108 bytes at most
    try:
        socket.socket(socket.AF_UNIX).bind(path.name)
    finally:
        os.chdir(before)


def large(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**41)


PLACES: dict[str, Callable[[Path], object]] = {
    "a pipe": os.mkfifo,
    "a socket": bind,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to nothing": lambda path: path.symlink_to("gone"),
    "a file of 2 TB": large,
}


def make(path: Path, name: str) -> Path:
    """Puts a bad image at a path."""
    if name in PLACES:
        PLACES[name](path)
    else:
        write(path, contents()[name])
    return path


def _case(name: str) -> Case:
    def given(place: Path) -> str:
        path = make(place / NAME, name)
        try:
            image_file.open_rgb(path, LIMIT)
        except ValueError as error:
            return f"{path.name}: {error}"
        return ""

    return given


CASES = {name: _case(name) for name in (*contents(), *PLACES)}


def a_set(root: Path) -> dict[str, str]:
    """Makes class folders with good pictures and all bad ones; returns names by path."""
    for k in range(6):
        write(root / "ab"[k % 2] / f"good{k}.png", b"")
        picture(k).save(root / "ab"[k % 2] / f"good{k}.png")
    paths = {}
    for k, name in enumerate(CASES):
        paths[str(make(root / "a" / f"bad{k:02}.jpg", name))] = name
    return paths

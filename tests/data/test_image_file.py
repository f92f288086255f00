"""A damaged image is none, a whole one keeps its pixels, and only files are opened as files."""

import io
import os
import socket
import struct
import threading
from pathlib import Path

import numpy as np
import pytest
from pictures import picture, save
from PIL import Image

from melanoma_exp.data import image_file
from melanoma_exp.data.duplicates import fingerprints
from melanoma_exp.data.image_file import open_rgb
from melanoma_exp.spec import UserError

LIMIT = 10**7


def jpeg(image: Image.Image | None = None, **options) -> bytes:
    content = io.BytesIO()
    photograph = np.random.default_rng(3).integers(0, 60, (200, 160, 3)) + np.arange(160)[:, None]
    (image or Image.fromarray(photograph.astype(np.uint8))).save(content, "JPEG", **options)
    return content.getvalue()


def png(image: Image.Image | None = None, **options) -> bytes:
    content = io.BytesIO()
    (image or picture(4)).save(content, "PNG", **options)
    return content.getvalue()


def zeroed(content: bytes, at: int, n: int) -> bytes:
    return content[:at] + bytes(n) + content[at + n :]


FORMS = [{}, {"progressive": True}, {"optimize": True}, {"restart_marker_rows": 1}]


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_a_jpeg_that_was_damaged_anywhere_is_refused(options) -> None:
    content = jpeg(**options)
    begin, end = content.rindex(b"\xff\xda") + 14, len(content) - 2
    for at in np.linspace(begin, end - 4096, 12).astype(int):
        for damaged in (
            zeroed(content, at, 4096),
            zeroed(content, at, 512),
            content[:at],
            content[:at] + b"\xff\xd9",
            content[:at] + content[at + 1024 :],
            content[:at] + content[at - 1024 : at] * 2 + content[at + 1024 :],
        ):
            with pytest.raises(ValueError, match="not a readable image"):
                open_rgb(damaged, LIMIT)
    with pytest.raises(ValueError):
        open_rgb(content[:-2], LIMIT)  # whole but for its end: nothing says that it is


@pytest.mark.parametrize("options", [*FORMS, {"subsampling": 0}, {"subsampling": 2}], ids=str)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_whole_jpeg_has_the_pixels_that_pillow_gives(mode, options) -> None:
    content = jpeg(Image.open(io.BytesIO(jpeg())).convert(mode), **options)
    for draft in (None, (15, 11), (40, 50), (33, 90), (80, 100)):
        with Image.open(io.BytesIO(content)) as image:
            if draft:
                image.draft("RGB", draft)
            wanted = np.asarray(image.convert("RGB"))
        np.testing.assert_array_equal(np.asarray(open_rgb(content, LIMIT, draft)), wanted)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_a_flat_jpeg_may_hold_zeros(options) -> None:
    flat = Image.new("RGB", (1200, 900), (7, 7, 7))
    half = flat.copy()
    half.paste(picture(2).resize((1200, 300)), (0, 300))
    for image in (flat, half):
        open_rgb(jpeg(image, **options), LIMIT)
    trailer = jpeg(exif=b"Exif\0\0" + bytes(5000)) + bytes(5000)  # as cameras write them
    open_rgb(trailer, LIMIT)


@pytest.mark.parametrize("options", [{}, {"compress_level": 0}], ids=str)
def test_a_png_that_was_damaged_anywhere_is_refused(options) -> None:
    content = png(**options)
    assert np.array_equal(np.asarray(open_rgb(content, LIMIT)), np.asarray(picture(4)))
    at = content.index(b"IDAT") + 40
    for k in np.linspace(at, len(content) - 600, 12).astype(int):
        flipped = bytes([content[k] ^ 1])
        for damaged in (
            zeroed(content, k, 512),
            content[:k] + flipped + content[k + 1 :],
            content[:k],
            content[:k] + content[-12:],
        ):
            with pytest.raises(ValueError, match="not a readable image"):
                open_rgb(damaged, LIMIT)
    with pytest.raises(ValueError, match="cut off"):
        open_rgb(content[:-12], LIMIT)


OTHERS = [
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("WEBP", {"lossless": True}),
]


@pytest.mark.parametrize(("name", "options"), OTHERS, ids=str)
def test_other_formats_are_read_whole_or_refused(name, options) -> None:
    file = io.BytesIO()
    picture(4).save(file, name, **options)
    content = file.getvalue()
    assert np.array_equal(np.asarray(open_rgb(content, LIMIT)), np.asarray(picture(4)))
    with pytest.raises(ValueError, match="over dataset.max_pixels"):
        open_rgb(content, 100)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(ValueError, match="not a readable image"):
            open_rgb(content[: int(share * len(content))], LIMIT)


def exif(*entries: tuple[int, int, bytes]) -> bytes:
    head = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries))
    body = b"".join(struct.pack("<HHI", tag, kind, 1) + value for tag, kind, value in entries)
    return head + body + b"\0\0\0\0"


TURNED = (0x112, 3, struct.pack("<HH", 6, 0))
ODD = {
    "width as float": exif(TURNED, (0x100, 11, struct.pack("<f", 48.0))),
    "negative width": exif(TURNED, (0x100, 8, struct.pack("<hh", -1, 0))),
    "turn as text": exif((0x112, 2, b"six\0")),
    "turn of 99": exif((0x112, 3, struct.pack("<HH", 99, 0))),
    "two turns": exif(TURNED, (0x112, 3, struct.pack("<HH", 3, 0))),
    "offset outside": exif(TURNED, (0x8769, 4, struct.pack("<I", 2**32 - 1))),
    "unknown type": exif(TURNED, (0x100, 99, b"\xff" * 4)),
    "cut off": exif(TURNED)[:17],
    "no EXIF": b"Exif\0\0" + b"\xff" * 30,
    "endless": b"Exif\0\0II*\0\x08\0\0\0" + b"\xff\xff" + exif(TURNED)[16:],
}


@pytest.mark.parametrize("name", ODD)
def test_odd_exif_costs_no_picture(name) -> None:
    plain = open_rgb(jpeg(), LIMIT)
    shown = open_rgb(jpeg(exif=ODD[name]), LIMIT)
    turns = (plain, plain.transpose(Image.Transpose.ROTATE_270), plain.transpose(3))
    assert any(shown.tobytes() == turn.tobytes() for turn in turns)
    if name in ("width as float", "negative width"):
        assert shown.size == plain.size[::-1]


@pytest.fixture
def kinds(folder, tmp_path) -> Path:
    """A set with one entry of every kind that is no file, each by the name of an image."""
    for k in range(6):
        save(picture(k), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
    odd = tmp_path / "data/a"
    os.mkfifo(odd / "pipe.jpg")
    place = os.getcwd()
    os.chdir(odd)  # an address has 108 bytes at most
    try:
        socket.socket(socket.AF_UNIX).bind("socket.png")
    finally:
        os.chdir(place)
    (odd / "device.jpg").symlink_to("/dev/zero")
    (odd / "loop.png").symlink_to("loop.png")
    (odd / "nowhere.png").symlink_to("gone")
    (odd / "itself").symlink_to(odd)
    with (odd / "large.png").open("wb") as file:
        file.truncate(2**40)
    return tmp_path / "data"


def test_what_is_no_file_is_named_and_left_out(kinds, folder, tmp_path) -> None:
    with pytest.raises(UserError) as refused:
        folder(max_pixels=LIMIT).load(tmp_path / "cache")
    said = {Path(line.split(": ")[0]).name: line for line in refused.value.lines[:-1]}
    reasons = {
        "pipe.jpg": "is a pipe, not a file",
        "socket.png": "is a socket, not a file",
        "device.jpg": "is a device, not a file",
        "loop.png": "symbolic links",
        "nowhere.png": "No such file",
        "large.png": "holds more than",
    }
    assert said.keys() == reasons.keys()
    assert all(reason in said[name] for name, reason in reasons.items())
    loaded = folder(max_pixels=LIMIT, on_bad_file="skip").load(tmp_path / "cache")
    assert len(loaded.samples) == 6 and len(loaded.skipped) == 6


def test_a_file_that_changes_while_it_is_read_leaves_nothing_in_the_cache(
    folder, tmp_path, monkeypatch
) -> None:
    for k in range(4):
        save(picture(k), tmp_path / f"data/{'ab'[k % 2]}/{k}.png")
    changed, whole = tmp_path / "data/a/0.png", picture(0)
    spec = folder()
    for stage in ("survey", "decoding"):
        save(whole, changed)
        with monkeypatch.context() as patch:
            if stage == "survey":
                seen = fingerprints.load

                def between(*given):
                    save(picture(9), changed)  # noqa: B023
                    return seen(*given)  # noqa: B023

                patch.setattr(fingerprints, "load", between)
            else:
                from melanoma_exp.data import labels

                choose = labels.choose

                def between(*given):
                    save(picture(9), changed)  # noqa: B023
                    return choose(*given)  # noqa: B023

                patch.setattr(labels, "choose", between)
            with pytest.raises(UserError, match=r"0\.png: changed while the dataset was read"):
                spec.load(tmp_path / "cache")
        save(whole, changed)
        loaded = spec.load(tmp_path / f"cache{'' if stage == 'decoding' else 2}")
        fresh = spec.load(tmp_path / "fresh")
        assert np.array_equal(loaded.pixels, fresh.pixels)


def test_reading_a_pipe_that_took_a_files_place_does_not_wait(tmp_path, monkeypatch) -> None:
    path = tmp_path / "a.jpg"
    os.mkfifo(path)
    file = tmp_path / "file"
    file.write_bytes(b"x")
    monkeypatch.setattr(Path, "stat", lambda self, **_: os.stat(file))
    done = threading.Thread(target=lambda: pytest.raises(ValueError, image_file.read, path, 9))
    done.start()
    done.join(5)
    assert not done.is_alive()


@pytest.mark.slow
def test_no_whole_file_of_the_real_sets_is_refused(real_folder) -> None:
    paths = [*real_folder("isic9").rglob("*.jpg"), *real_folder("ham10000").rglob("*.jpg")]
    assert len(paths) == 6478
    for path in paths:
        with Image.open(path) as image:
            assert np.array_equal(np.asarray(open_rgb(path, LIMIT)), np.asarray(image))

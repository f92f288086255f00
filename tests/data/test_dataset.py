"""What a dataset promises: every kind of file decodes right, faults are reported, nothing hides.

Images are real files written with Pillow; each shows red left of blue, so turns are seen.
"""

import multiprocessing
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

from melanoma_exp.data import decode
from melanoma_exp.spec import UserError

RED, BLUE, WHITE = (200, 30, 60), (20, 120, 220), (255, 255, 255)


def picture(left=RED, right=BLUE, side=32) -> Image.Image:
    image = Image.new("RGB", (side, side), left)
    image.paste(right, (side // 2, 0, side, side))
    return image


def save(path: Path, image: Image.Image | None = None, shade: int = 0, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (image or picture(right=(20, 120, shade))).save(path, **options)
    return path


@pytest.fixture
def data(tmp_path) -> Path:
    """A set of two classes with three different images each."""
    for k in range(6):
        save(tmp_path / "data" / f"class {k // 3}" / f"{k}.png", shade=40 * k)
    return tmp_path / "data"


def one_line(error) -> str:
    (line,) = error.value.lines
    assert "\n" not in line
    return line


def see_through(image: Image.Image) -> Image.Image:
    image.putalpha(Image.fromarray(np.repeat(np.uint8([[128, 0]]), 16, 1).repeat(32, 0)))
    return image


FORMS = {
    "rgb.png": (picture(), {}, RED, BLUE),
    "rgb.jpg": (picture(), {"quality": 95}, RED, BLUE),
    "grey.png": (Image.new("L", (32, 32), 77), {}, (77,) * 3, (77,) * 3),
    "grey.jpg": (Image.new("L", (32, 32), 77), {}, (77,) * 3, (77,) * 3),
    "palette.png": (picture().quantize(4), {}, RED, BLUE),
    "palette_hole.png": (
        picture().quantize(2),
        {"transparency": picture().quantize(2).getpixel((31, 0))},
        RED,
        WHITE,
    ),
    "rgba.png": (see_through(picture()), {}, (227, 142, 157), WHITE),
    "cmyk.jpg": (picture().convert("CMYK"), {"quality": 95}, RED, BLUE),
    "grey16.png": (
        Image.fromarray(np.repeat(np.uint16([[77 * 257, 60000]]), 16, 1).repeat(32, 0)),
        {},
        (77,) * 3,
        (234,) * 3,
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_file_becomes_rgb(tmp_path, name):
    image, options, left, right = FORMS[name]
    pixels = decode.decode(save(tmp_path / name, image, **options), (8, 8), "nearest", 10**6)
    assert pixels.shape == (8, 8, 3) and pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels[:, :3], np.broadcast_to(left, (8, 3, 3)), atol=4)
    np.testing.assert_allclose(pixels[:, 5:], np.broadcast_to(right, (8, 3, 3)), atol=4)


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 1), (8, 3)])
def test_exif_rotation_is_undone(tmp_path, orientation, turns):
    stored = Image.fromarray(np.rot90(np.asarray(picture()), turns))
    exif = Image.Exif()
    exif[0x0112] = orientation  # 6: turn clockwise to show
    path = save(tmp_path / "a.jpg", stored, exif=exif, quality=95)
    pixels = decode.decode(path, (8, 8), "nearest", 10**6)
    np.testing.assert_allclose(pixels[0, 0], RED, atol=4)
    np.testing.assert_allclose(pixels[-1, -1], BLUE, atol=4)
    np.testing.assert_allclose(pixels[-1, 0], RED, atol=4)


def huge_png() -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checksum

    header = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0"))


def add_bad_files(data: Path) -> list[Path]:
    whole = save(data / "whole.jpg", picture(side=64)).read_bytes()
    (data / "whole.jpg").unlink()
    bad = {
        "empty.jpg": b"",
        "cut.jpg": whole[: len(whole) // 2],
        "cut.png": huge_png()[:20],
        "text.jpg": b"<html>not found</html>",
        "huge.png": huge_png(),
    }
    for name, content in bad.items():
        (data / "class 1" / name).write_bytes(content)
    return [data / "class 1" / name for name in bad] + [save(data / "class 0/big.png", picture())]


def test_bad_files_fail_by_name_or_are_left_out_and_counted(data, folder, tmp_path):
    for path in data.rglob("*.png"):  # below the limit that big.png is over
        picture(right=(0, int(path.stem), 0), side=16).save(path)
    bad = add_bad_files(data)
    with pytest.raises(UserError) as refused:
        folder(max_pixels=1000).load(tmp_path / "cache")
    *lines, hint = refused.value.lines
    assert sorted(line.split(": ")[0] for line in lines) == sorted(map(str, bad))
    assert "6 unreadable" in hint and "on_bad_file=skip" in hint
    assert any("empty.jpg" in line and "is empty" in line for line in lines)
    assert any("big.png" in line and "32x32" in line and "max_pixels" in line for line in lines)
    loaded = folder(max_pixels=1000, on_bad_file="skip").load(tmp_path / "cache")
    assert loaded.samples.counts().tolist() == [3, 3]
    assert sorted(line.split(": ")[0] for line in loaded.skipped) == sorted(map(str, bad))
    assert any("skipped 6" in note for note in loaded.notes)
    assert loaded.pixels[loaded.samples.image].any(axis=(1, 2, 3)).all()


@pytest.mark.parametrize("limit", [1000, 10**9])
def test_a_file_over_the_limit_is_never_decoded(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    (tmp_path / "huge.png").write_bytes(huge_png())
    with pytest.raises(ValueError, match="pixel"):
        decode.decode(tmp_path / "huge.png", (8, 8), "box", limit)


def test_what_is_no_image_is_ignored_and_mentioned(data, folder, tmp_path):
    for stray in ("Thumbs.db", "class 0/Thumbs.db", "class 0/.hidden.png", "notes.txt"):
        (data / stray).write_bytes(b"x")
    for stray in ("__MACOSX/x.png", "output/x.png", "class 1/output/x.png"):
        save(data / stray)
    loaded = folder().load(tmp_path / "cache")
    assert loaded.samples.counts().tolist() == [3, 3]
    entries, *folders = loaded.notes[:4]
    assert "ignored 4" in entries
    for name in ("Thumbs.db (2x)", ".hidden.png", "notes.txt"):
        assert name in entries
    for name, note in zip(("__MACOSX/", "output/", "class 1/output/"), folders, strict=True):
        assert note.startswith(f"{name} holds 1 images that are not used")


def test_train_and_test_folders_become_parts_and_others_are_mentioned(data, folder, tmp_path):
    for name in ("Train", "Test", "Valid", "Spare"):
        shutil.copytree(data, tmp_path / "parts" / name)
    loaded = folder(root=tmp_path / "parts").load(tmp_path / "cache")
    assert sorted(loaded.samples.official) == ["test"] * 6 + ["train"] * 6 + ["val"] * 6
    assert any("Spare/ holds 6 images that are not used" in note for note in loaded.notes)


def test_an_unusable_folder_is_refused_in_one_line(data, folder, tmp_path):
    (data / "class 2").mkdir()
    with pytest.raises(UserError) as refused:
        folder().load(tmp_path)
    assert str(data / "class 2") in one_line(refused)
    (tmp_path / "bare").mkdir()
    with pytest.raises(UserError) as refused:
        folder(root=tmp_path / "bare").load(tmp_path)
    assert "one folder of images per class" in one_line(refused)


@pytest.mark.parametrize(("kind", "where"), [("isic9", "Kaggle"), ("ham10000", "doi:10.7910")])
def test_a_missing_root_says_how_to_get_the_data(folder, tmp_path, kind, where):
    for root in (None, tmp_path / "gone"):
        with pytest.raises(UserError) as refused:
            folder(kind, root=root).load(tmp_path)
        line = one_line(refused)
        assert where in line and "dataset.root=FOLDER" in line
        assert root is None or str(root) in line


def test_the_cache_spares_the_second_decoding(data, folder, tmp_path, monkeypatch):
    first = folder().load(tmp_path / "cache")
    monkeypatch.setattr(decode, "decode", lambda *_: pytest.fail("decoded again"))
    again = folder().load(tmp_path / "cache")
    assert (again.pixels == first.pixels).all() and again.digest == first.digest
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    monkeypatch.undo()
    for path in (tmp_path / "cache").rglob("*.npy"):
        path.unlink()
    assert (folder().load(tmp_path / "cache").pixels == first.pixels).all()
    save(data / "class 0/0.png", picture(left=BLUE))
    changed = folder().load(tmp_path / "cache")
    assert changed.digest != first.digest
    np.testing.assert_array_equal(changed.pixels[0, 0, 0], BLUE)
    assert folder(resize="box").load(tmp_path / "cache").digest != changed.digest


def test_the_digest_is_that_of_the_content_wherever_it_lies(data, folder, tmp_path):
    shutil.copytree(data, tmp_path / "elsewhere" / "copy")
    digests = {
        folder(root=root).load(tmp_path / "cache").digest
        for root in (data, tmp_path / "elsewhere" / "copy")
    }
    assert len(digests) == 1
    picture = data / "class 0/0.png"
    for path in ("class 0/ISIC_0000001.png", "class 1/ISIC_0000001.png"):
        picture = picture.rename(data / path)  # another name, then another label
        found = folder().load(tmp_path / "cache").digest
        assert found not in digests
        digests.add(found)


def load_together(spec, cache, barrier, results) -> None:
    barrier.wait()
    loaded = spec.load(cache)
    results.put((loaded.digest, int(loaded.pixels.sum())))


def test_two_processes_may_build_the_same_entry_at_once(data, folder, tmp_path):
    for k in range(150):
        save(data / "class 0" / f"many{k}.png", picture(right=(k, 0, 0), side=64))
    spawn = multiprocessing.get_context("spawn")
    barrier, results = spawn.Barrier(2), spawn.Queue()
    given = (folder(), tmp_path / "cache", barrier, results)
    workers = [spawn.Process(target=load_together, args=given) for _ in range(2)]
    for worker in workers:
        worker.start()
    found = {results.get(timeout=120) for _ in workers}
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    loaded = folder().load(tmp_path / "cache")
    assert found == {(loaded.digest, int(loaded.pixels.sum()))}


def test_an_unwritable_cache_is_one_line(data, folder, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError) as refused:
        folder().load(tmp_path / "file" / "cache")
    assert "cache.dir: cannot write" in one_line(refused)

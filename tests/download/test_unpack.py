"""A ZIP from outside is unpacked whole and nowhere else, or not at all."""

import hashlib
import stat
import zipfile
from pathlib import Path

import pytest

from melanoma_exp.download import unpack as unpack_module
from melanoma_exp.download.unpack import unpack
from melanoma_exp.spec import UserError


def made(path: Path, content: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in content.items():
            archive.writestr(name, body)
    return path


@pytest.fixture
def unpacked(tmp_path):
    """Unpacks a ZIP into a folder and gives what it says."""
    (tmp_path / "work").mkdir()

    def run(archive: Path, into: str = ".", strip: str | None = None):
        place = tmp_path / "set"
        return unpack(archive, place, into, strip, tmp_path / "work", lambda _: None)

    return run


def test_files_land_where_the_set_wants_them_with_their_checksums(unpacked, tmp_path):
    content = {"out/Train/a.jpg": b"a" * 9, "out/Test/b.jpg": b"b", "__MACOSX/out/._a.jpg": b"x"}
    hidden = {"out/.DS_Store": b"x", ".download/asked": b"ham10000", "out/._b.jpg": b"x"}
    archive = made(tmp_path / "x.zip", content | hidden)
    found = unpacked(archive, strip="out")
    assert set(found) == {"Train/a.jpg", "Test/b.jpg"}
    assert found["Train/a.jpg"].sha256 == hashlib.sha256(b"a" * 9).hexdigest()
    assert (tmp_path / "set/Train/a.jpg").read_bytes() == b"a" * 9
    assert set(unpacked(made(tmp_path / "y.zip", {"a.jpg": b"a"}), into="part_1")) == {
        "part_1/a.jpg"
    }
    assert not list((tmp_path / "work").iterdir())


@pytest.mark.parametrize(
    "name",
    [
        "../a.jpg",
        "x/../../a.jpg",
        "/etc/a.jpg",
        "C:\\a.jpg",
        "x\\..\\a.jpg",
        "C:a.jpg",
        "x/\x07.jpg",
    ],
)
def test_names_that_lead_elsewhere_are_refused_before_anything_is_written(unpacked, tmp_path, name):
    archive = made(tmp_path / "x.zip", {"fine.jpg": b"a", name: b"b"})
    with pytest.raises(UserError, match="leads out of its folder; nothing was unpacked") as error:
        unpacked(archive)
    assert error.value.lines[0].startswith("x.zip: its entry")
    assert not (tmp_path / "set").exists() and not (tmp_path / "a.jpg").exists()


def test_links_and_locked_files_are_refused(unpacked, tmp_path):
    link = zipfile.ZipInfo("link.jpg")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="is no plain file"):
        unpacked(tmp_path / "x.zip")
    raw = bytearray(made(tmp_path / "z.zip", {"a.jpg": b"a"}).read_bytes())
    raw[raw.index(b"PK\x01\x02") + 8] |= 1  # says that it needs a password
    (tmp_path / "z.zip").write_bytes(raw)
    with pytest.raises(UserError, match="is no plain file"):
        unpacked(tmp_path / "z.zip")


def test_a_bomb_is_not_unpacked(unpacked, tmp_path, monkeypatch):
    monkeypatch.setattr(unpack_module, "SLACK", 1000)
    archive = made(tmp_path / "x.zip", {"a.jpg": bytes(1_000_000)})
    with pytest.raises(UserError, match="would unpack to 1000000 bytes, more than 20 times"):
        unpacked(archive)
    assert not (tmp_path / "set").exists()
    # One that lies about its size gives no more than it says.
    raw = bytearray(archive.read_bytes())
    for mark, at in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        start = raw.index(mark) + at
        raw[start : start + 4] = (500).to_bytes(4, "little")
    archive.write_bytes(raw)
    with pytest.raises(UserError, match="is a damaged ZIP"):
        unpacked(archive)
    assert not list((tmp_path / "set").rglob("*.jpg"))


def test_a_damaged_zip_is_removed_and_leaves_no_half_file(unpacked, tmp_path):
    good = made(tmp_path / "good.zip", {"a.jpg": bytes(range(256)) * 40, "b.jpg": b"b" * 5000})
    raw = good.read_bytes()
    for name, body in {"cut": raw[:-30], "no": b"PK\x03\x04 no", "empty": b""}.items():
        (tmp_path / f"{name}.zip").write_bytes(body)
    flipped = bytearray(raw)
    flipped[60] ^= 255
    (tmp_path / "flipped.zip").write_bytes(flipped)
    for name in ("cut", "no", "empty", "flipped"):
        with pytest.raises(UserError, match="is a damaged ZIP .*the same command fetches it anew"):
            unpacked(tmp_path / f"{name}.zip")
        assert not (tmp_path / f"{name}.zip").exists()
        assert not (tmp_path / "set" / "a.jpg").exists()


def test_a_second_time_writes_only_what_is_missing_or_changed(unpacked, tmp_path):
    archive = made(tmp_path / "x.zip", {"a.jpg": b"aaaa", "b.jpg": b"bbbb", "c.jpg": b"cccc"})
    first = unpacked(archive)
    before = (tmp_path / "set/a.jpg").stat().st_ino
    (tmp_path / "set/b.jpg").write_bytes(b"bad!")
    (tmp_path / "set/c.jpg").unlink()
    assert unpacked(archive) == first
    assert (tmp_path / "set/b.jpg").read_bytes() == b"bbbb"
    assert (tmp_path / "set/c.jpg").exists()
    assert (tmp_path / "set/a.jpg").stat().st_ino == before


def test_names_that_some_disks_cannot_tell_apart_are_refused(unpacked, tmp_path):
    with pytest.raises(UserError, match="twice, in two spellings"):
        unpacked(made(tmp_path / "x.zip", {"a.jpg": b"a", "A.jpg": b"b"}))
    with pytest.warns(UserWarning), zipfile.ZipFile(tmp_path / "y.zip", "w") as archive:
        archive.writestr("a.jpg", "a")
        archive.writestr("a.jpg", "b")
    with pytest.raises(UserError, match="holds one file twice"):
        unpacked(tmp_path / "y.zip")

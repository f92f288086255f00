"""The cache: made once, never partial, never damaged, never removed from under a reader."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.spec import UserError
from melanoma_exp.system.cache import checksums, entry, maintenance
from melanoma_exp.system.cache.entry import About, obtain

ABOUT = About("a set", 3)
# Makes an entry in a process of its own and says so in a file; `slow` makes it wait half-way.
MAKER = """
import pathlib, sys, time
from melanoma_exp.system.cache.entry import About, obtain
root, slow, stay = pathlib.Path(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3])
def make(folder):
    with (root / "made").open("a") as file:
        file.write("x")
    (folder / "first").write_bytes(b"1")
    time.sleep(slow)
    (folder / "second").write_bytes(b"2")
cached = obtain(root, "decoded", "k1", About("a set", 3), make)
print(sorted(path.name for path in cached.folder.iterdir()), flush=True)
time.sleep(stay)
"""


def maker(root: Path, slow: float = 0, stay: float = 0) -> subprocess.Popen[str]:
    root.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-c", MAKER, str(root), str(slow), str(stay)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def put(root: Path, key: str, content: bytes = b"content", kind: str = "decoded") -> entry.Entry:
    return obtain(root, kind, key, ABOUT, lambda folder: (folder / "x").write_bytes(content))


def wait_for(found) -> None:
    deadline = time.monotonic() + 60
    while not found():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def names(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "decoded").iterdir())


def age(root: Path, *keys: str) -> None:
    """Makes entries as if last used in this order, a long time ago."""
    for k, key in enumerate(keys):
        os.utime(root / "decoded" / key / "entry.json", (1000 + k, 1000 + k))


def test_of_several_processes_one_makes_an_entry_and_the_others_wait(tmp_path):
    makers = [maker(tmp_path, slow=1.5) for _ in range(3)]
    results = [process.communicate(timeout=100) for process in makers]
    assert {out for out, _ in results} == {"['entry.json', 'first', 'second']\n"}
    assert (tmp_path / "made").read_text() == "x" and names(tmp_path) == ["k1"]
    assert any("waiting for another process that makes" in error for _, error in results)


def test_after_the_death_of_its_maker_the_one_that_waits_makes_the_entry(tmp_path):
    first = maker(tmp_path, slow=100)
    wait_for(lambda: list(tmp_path.glob("decoded/.k1.*.tmp/first")))
    second = maker(tmp_path)
    assert "waiting" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    out, _ = second.communicate(timeout=60)
    first.communicate()
    assert out == "['entry.json', 'first', 'second']\n"
    assert names(tmp_path) == ["k1"]  # neither half of the first one nor locks


def test_what_a_dead_process_left_is_swept_and_what_a_live_one_makes_is_not(tmp_path):
    alive = maker(tmp_path, slow=100)
    wait_for(lambda: list(tmp_path.glob("decoded/.k1.*.tmp/first")))
    left = tmp_path / "decoded" / ".k2.12345678.tmp"
    left.mkdir()
    assert maintenance.remove_partial(tmp_path) == [left] and not left.exists()
    assert len(maintenance.list_partial(tmp_path)) == 1
    alive.kill()
    alive.communicate()
    assert len(maintenance.remove_partial(tmp_path)) == 1 and names(tmp_path) == []


def damage_a_byte(folder: Path) -> None:
    content = bytearray((folder / "x").read_bytes())
    content[5000] ^= 1
    (folder / "x").write_bytes(content)


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (damage_a_byte, "x differs"),
        (lambda folder: (folder / "x").write_bytes(b"short"), "has 5 bytes instead of 9000"),
        (lambda folder: (folder / "x").unlink(), "x is missing"),
        (lambda folder: (folder / "entry.json").write_text("{"), "entry.json cannot be read"),
        (lambda folder: (folder / "entry.json").unlink(), "entry.json is missing"),
    ],
)
def test_a_damaged_entry_is_made_again_and_reported(tmp_path, capsys, harm, said):
    put(tmp_path, "k", bytes(9000)).close()
    harm(tmp_path / "decoded" / "k")
    cached = put(tmp_path, "k", bytes(9000))
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and "is damaged and made again" in line
    assert (cached.folder / "x").read_bytes() == bytes(9000) and names(tmp_path) == ["k"]
    put(tmp_path, "k", b"not made again")
    assert (cached.folder / "x").read_bytes() == bytes(9000) and not capsys.readouterr().err


def test_checksums_find_a_bit_an_empty_page_and_a_moved_page(tmp_path):
    content = np.random.default_rng(0).integers(0, 256, 3 * 4096 + 100, np.uint8)
    (tmp_path / "x").write_bytes(content.tobytes())
    before = checksums.of_file(tmp_path / "x")
    assert checksums.differing(tmp_path / "x", before) is None
    bit, empty, moved, tail = (content.copy() for _ in range(4))
    bit[777] ^= 16
    empty[4096:8192] = 0
    moved[:4096], moved[4096:8192] = content[4096:8192], content[:4096]
    tail[-1] ^= 1
    for changed in (bit, empty, moved, tail):
        (tmp_path / "x").write_bytes(changed.tobytes())
        assert checksums.differing(tmp_path / "x", before) == 0


def test_of_a_large_file_other_blocks_are_read_each_second(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "BLOCK", 1000)
    (tmp_path / "x").write_bytes(bytes(9500))
    before = checksums.of_file(tmp_path / "x")
    assert len(before) == 10
    (tmp_path / "x").write_bytes(bytes(7000) + b"x" + bytes(2499))
    assert checksums.differing(tmp_path / "x", before) == 7
    found = []
    for second in range(5):
        monkeypatch.setattr(time, "time", lambda second=second: 1e9 + second)
        found.append(checksums.differing(tmp_path / "x", before, budget=2000))
    assert found == [None, None, 7, None, None]


def test_the_least_recently_used_goes_first_and_what_is_used_stays(tmp_path):
    used = put(tmp_path, "a", bytes(1000))
    for key in "bcd":
        put(tmp_path, key, bytes(1000)).close()
    age(tmp_path, "a", "c", "b", "d")
    assert maintenance.trim(tmp_path, 4000) == []
    assert [cached.key for cached in maintenance.trim(tmp_path, 2999)] == ["c", "b"]
    assert names(tmp_path) == ["a", "d"] and maintenance.trim(tmp_path, 2000) == []
    age(tmp_path, "a", "d")
    put(tmp_path, "e", bytes(1000)).close()
    put(tmp_path, "d").close()  # opening it makes it the last used
    used.close()
    assert [cached.key for cached in maintenance.trim(tmp_path, 1000)] == ["a", "e"]


def test_an_entry_used_by_another_process_is_left_until_that_ends(tmp_path, capsys):
    user = maker(tmp_path, stay=100)
    assert "first" in user.stdout.readline()
    COMMANDS["cache"](["clear", f"cache.dir={tmp_path}"])
    assert "in use, left: decoded k1" in capsys.readouterr().out and names(tmp_path) == ["k1"]
    user.kill()
    user.communicate()
    COMMANDS["cache"](["clear", f"cache.dir={tmp_path}"])
    assert "removed: decoded k1" in capsys.readouterr().out and names(tmp_path) == []


def test_the_command_lists_and_removes_by_kind_and_key_and_nothing_else(tmp_path, capsys):
    kinds = {"a1": "decoded", "a2": "decoded", "b1": "children", "c1": "fingerprints"}
    for key, kind in kinds.items():
        put(tmp_path, key, bytes(5000), kind).close()
    (tmp_path / "thesis.txt").write_text("precious")
    (tmp_path / "photos").mkdir()
    (tmp_path / "decoded" / "old.npy").write_bytes(bytes(100))
    here = f"cache.dir={tmp_path}"
    COMMANDS["cache"]([here])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("a1", "b1", "a set", "4.9 KiB", "another version"))
    assert "5 entries, 19.6 KiB; limit 32 GiB" in shown
    COMMANDS["cache"](["clear", "children", "a2", here])
    printed = capsys.readouterr().out
    assert "removed: children b1" in printed and "removed: decoded a2" in printed
    assert "9.8 KiB removed" in printed
    left = {cached.key for cached in maintenance.list_items(tmp_path)}
    assert left == {"a1", "c1", "old.npy"}
    with pytest.raises(UserError, match=r"nothing in .* is called zz"):
        COMMANDS["cache"](["clear", "zz", here])
    COMMANDS["cache"](["clear", here])
    assert not maintenance.list_items(tmp_path)
    assert (tmp_path / "thesis.txt").exists() and (tmp_path / "photos").exists()
    COMMANDS["cache"]([f"cache.dir={tmp_path / 'none'}"])
    assert "0 entries" in capsys.readouterr().out and not (tmp_path / "none").exists()


def test_verify_reads_everything_and_removes_what_is_damaged(tmp_path, capsys):
    for key in "ab":
        put(tmp_path, key, bytes(9000)).close()
    COMMANDS["cache"](["verify", f"cache.dir={tmp_path}"])
    assert "2 entries read, 17.6 KiB; 0 damaged" in capsys.readouterr().out
    damage_a_byte(tmp_path / "decoded" / "b")
    with pytest.raises(SystemExit) as ended:
        COMMANDS["cache"](["verify", f"cache.dir={tmp_path}"])
    printed = capsys.readouterr().out
    assert ended.value.code == 1 and "damaged: decoded b" in printed and "1 damaged" in printed
    assert names(tmp_path) == ["a"]


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path):
    def make(folder: Path) -> None:
        (folder / "x").write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(UserError) as refused:
        obtain(tmp_path, "decoded", "k", ABOUT, make)
    (line,) = refused.value.lines
    assert line.startswith(f"cache.dir: cannot write {tmp_path / 'decoded'}: No space left")
    assert "melanoma-exp cache" in line and names(tmp_path) == []


def test_an_entry_names_what_it_is(tmp_path):
    put(tmp_path, "k").close()
    content = json.loads((tmp_path / "decoded" / "k" / "entry.json").read_text())
    assert content["belongs"] == "a set" and content["images"] == 3 and content["bytes"] == 7
    (cached,) = maintenance.list_items(tmp_path)
    assert (cached.kind, cached.key, cached.bytes) == ("decoded", "k", 7)
    assert time.time() - cached.used < 100

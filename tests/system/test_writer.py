"""One process at a time writes a run, whatever becomes of the others."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from melanoma_exp.spec import UserError
from melanoma_exp.system import locks, provenance, writer
from melanoma_exp.system.cache import maintenance
from melanoma_exp.system.cache.entry import About, obtain

HOLD = """
import sys, time
from pathlib import Path
from melanoma_exp.system import writer
writer.BEAT = 0.05
with writer.only_writer(Path(sys.argv[1]), "run 1"):
    print("held", flush=True)
    time.sleep(60)
"""
RACE = """
import os, sys, time
from pathlib import Path
from melanoma_exp.spec import UserError
from melanoma_exp.system.writer import only_writer
for _ in range(8):
    if not os.fork():
        try:
            with only_writer(Path(sys.argv[1]), "run 1"):
                os.write(1, b"x")
                time.sleep(1)
        except UserError:
            os.write(1, b"-")
        os._exit(0)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a store" / "checkpoints" / ".1.lock"


@pytest.fixture
def hold(path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts a process that holds the lock."""
    started = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(path)]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def taken(path: Path) -> str:
    """Returns why the lock cannot be had, "" where it can."""
    try:
        with writer.only_writer(path, "run 1"):
            return ""
    except UserError as error:
        return "\n".join(error.lines)


def elsewhere(path: Path) -> None:
    """Leaves the file of a writer on another machine."""
    path.parent.mkdir(parents=True)
    found = {"process": "far:77:1", "since": "2026-01-02 03:04:05", "boot": "other", "id": "z"}
    path.write_text(json.dumps(found))


def test_a_second_process_is_told_who_writes_and_sigkill_frees_the_lock(
    path: Path, hold: Callable[[], subprocess.Popen[str]]
) -> None:
    first = hold()
    before = path.read_bytes()
    line = taken(path)
    assert line.startswith(f"run 1 is being written by process {first.pid}, since 20")
    assert "suspended" not in line and "\n" not in line
    with pytest.raises(UserError, match="run 1 is being written by"):
        writer.check_unwritten(path, "run 1")
    first.send_signal(signal.SIGSTOP)
    while "suspended" not in taken(path):
        time.sleep(0.01)
    assert path.read_bytes() == before
    first.kill()
    first.wait()
    started = time.monotonic()
    assert path.exists() and taken(path) == "" and time.monotonic() - started < 5
    assert not path.exists()


def test_of_many_processes_that_start_at_once_one_writes(path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", RACE, str(path)], capture_output=True, text=True)
    assert sorted(done.stdout) == sorted("x-------"), done


def test_within_a_process_it_can_be_asked_for_again(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "a store")
    with writer.only_writer(path, "run 1"):
        with writer.only_writer(tmp_path / "link" / "checkpoints" / ".1.lock", "run 1"):
            writer.check_unwritten(path, "run 1")
        assert path.exists()
    assert not path.parents[1].exists()  # nor the folders that it was made in


def test_a_writer_on_another_machine_is_left_alone_while_it_shows_that_it_lives(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(writer, "GONE", 0.6)
    elsewhere(path)
    ended = threading.Event()

    def live() -> None:
        while not ended.wait(0.1):
            os.utime(path)

    alive = threading.Thread(target=live)
    alive.start()
    line = taken(path)
    ended.set()
    alive.join()
    assert "by process 77, on far, since 2026-01-02 03:04:05; wait" in line
    assert "process 77, on far, since" in capsys.readouterr().err
    assert taken(path) == ""  # now that it is silent


def test_a_writer_that_was_replaced_while_it_was_suspended_stops(
    path: Path, hold: Callable[[], subprocess.Popen[str]]
) -> None:
    first = hold()
    first.send_signal(signal.SIGSTOP)
    path.unlink()  # as another machine would, after a while without a sign of life
    path.parent.mkdir(exist_ok=True)
    with writer.only_writer(path, "run 1"):
        first.send_signal(signal.SIGCONT)
        assert first.wait(20) == 2
        said = first.communicate()[1]
        assert f"written by process {os.getpid()}" in said and "to write nothing more" in said
        assert str(os.getpid()) in path.read_text()


def test_a_lock_file_that_somebody_removes_is_made_again(
    path: Path, hold: Callable[[], subprocess.Popen[str]]
) -> None:
    first = hold()
    path.unlink()
    path.parent.rmdir()
    deadline = time.monotonic() + 20
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(0.1)
    assert f"process {first.pid}" in taken(path)


def test_where_a_file_system_has_no_locks_the_record_counts(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def without(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", without)
    monkeypatch.setattr(locks, "_told", set())
    monkeypatch.setattr(writer, "SETTLE", 0.05)
    with writer.only_writer(path, "run 1"):
        with monkeypatch.context() as another:
            another.setattr(writer, "_held", {})
            assert f"by process {os.getpid()}" in taken(path)
    gone = subprocess.Popen(["true"])
    gone.wait()
    host, _, started = provenance.process().rsplit(":", 2)
    elsewhere(path)
    record = {"process": f"{host}:{gone.pid}:{started}", "boot": writer._boot()}
    path.write_text(json.dumps(record))
    assert taken(path) == ""
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{path}: its file system has no locks: start nothing twice at the same time"]


def test_a_lock_file_removed_by_its_holder_is_no_lock(tmp_path: Path) -> None:
    path = tmp_path / "decoded" / "k"
    with locks.exclusive(path), pytest.raises(BlockingIOError), locks.exclusive(path, wait=False):
        pass
    with locks.exclusive(path, wait=False):
        assert (tmp_path / "decoded" / ".k.lock").exists()
    assert not list((tmp_path / "decoded").iterdir())


def test_a_network_drive_locks_alone_what_is_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock

    def as_nfs(file: IO[bytes], kind: int) -> None:
        if kind & fcntl.LOCK_EX and not file.writable():
            raise OSError(errno.EBADF, "Bad file descriptor")
        lock(file, kind)

    monkeypatch.setattr(fcntl, "flock", as_nfs)
    held = [
        obtain(tmp_path, "decoded", key, About("a set", 3), lambda folder: None) for key in "ab"
    ]
    held.pop().close()
    found = {item.key: item for item in maintenance.list_items(tmp_path)}
    assert {key: item.is_used for key, item in found.items()} == {"a": True, "b": False}
    assert [maintenance.remove_unused(found[key]) for key in "ab"] == [False, True]
    held.pop().close()
    opened = Path.open

    def read_only(path: Path, mode: str = "r") -> IO[Any]:
        if "+" in mode:
            raise OSError(errno.EROFS, "Read-only file system")
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", read_only)
    assert found["a"].is_used, "it cannot be known"
    monkeypatch.setattr(fcntl, "flock", lock)
    assert not found["a"].is_used

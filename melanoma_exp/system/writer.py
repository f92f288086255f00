"""One writer at a time: the process that writes a run or a sweep, and how another finds out.

The writer holds a kernel lock on a file, which the system frees however the process ends. The file
names the process, for the line that another one prints. A lock need not reach other machines that
share the folder, and some file systems have none, so the writer also touches the file again and
again: another machine takes over only where it is left alone for long enough, and a writer that was
suspended so long stops as soon as it sees that it was replaced.
"""

import json
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, NoReturn

import psutil

from melanoma_exp.spec import UserError
from melanoma_exp.system import locks, provenance

BEAT = 5.0  # seconds between two signs of life
GONE = 60.0  # seconds without one after which a writer elsewhere counts as gone
SETTLE = 1.0  # seconds in which a second process shows up, where there are no locks
BOOT = Path("/proc/sys/kernel/random/boot_id")
_held: dict[str, int] = {}  # real path of a lock: the process that holds it


@contextmanager
def only_writer(path: Path, what: str) -> Iterator[None]:
    """Makes this process the one writer of something; within itself it may ask again.

    Args:
        path: Of the lock's file; it is removed at the end.
        what: Is written, for the message: `run 0123abcd`.

    Raises:
        UserError: Another process is its writer; one line that names it.
        OSError: The file cannot be written.
    """
    real = os.path.realpath(path)
    if _held.get(real) == os.getpid():
        yield
        return
    claim = _Claim(path, what)
    claim.take()
    _held[real] = os.getpid()
    beating = threading.Event()
    beat = threading.Thread(target=claim.beat, args=(beating,), name="writer", daemon=True)
    beat.start()
    try:
        yield
    finally:
        beating.set()
        beat.join()
        _held.pop(real, None)
        claim.release()


def check_unwritten(path: Path, what: str) -> None:
    """Refuses what has a writer, without becoming it; arguments and errors as of `only_writer`."""
    if os.path.realpath(path) not in _held and path.exists():
        claim = _Claim(path, what)
        claim.take()
        claim.release()


class _Claim:
    def __init__(self, path: Path, what: str) -> None:
        self._path, self._what = path, what
        self._file: IO[bytes]
        self._made: list[Path] = []  # folders
        content = {
            "process": provenance.process(),
            "since": time.strftime("%Y-%m-%d %H:%M:%S"),
            "boot": _boot(),
            "id": uuid.uuid4().hex,
        }
        self._record = json.dumps(content).encode()

    def take(self) -> None:
        """Locks the file and writes the record; errors as of `only_writer`."""
        while True:
            parents = self._path.parents
            self._made += [folder for folder in parents if not folder.exists()]
            parents[0].mkdir(parents=True, exist_ok=True)
            try:
                self._file = open(self._path, "r+b", buffering=0, opener=_create)
            except FileNotFoundError:  # another process has just removed an empty folder
                continue
            try:
                if self._take_opened():
                    return
            except BaseException:
                self._file.close()
                raise
            self._file.close()

    def _take_opened(self) -> bool:
        """Returns False where the file was removed since it was opened."""
        try:
            has_locks = locks.acquire(self._file, wait=False)
        except BlockingIOError:
            self._refuse(self._file.read())
        if not locks.is_same_file(self._file, self._path):
            return False
        before = self._file.read()
        if before and not self._is_gone(before, has_locks):
            self._refuse(self._path.read_bytes())
        self._file.seek(0)
        self._file.truncate()
        self._file.write(self._record)
        if not has_locks:
            time.sleep(SETTLE)
            if (found := self._read()) != self._record:
                self._refuse(found or b"")
        return True

    def release(self) -> None:
        """Gives it up, and leaves no empty folder that was made for it."""
        with suppress(OSError):
            if self._read() == self._record:
                self._path.unlink()
        self._file.close()
        with suppress(OSError):
            for folder in self._made:
                folder.rmdir()

    def beat(self, ended: threading.Event) -> None:
        """Shows that this process lives, until it ends or finds that it was replaced."""
        while not ended.wait(BEAT):
            with suppress(OSError):  # a full disk, a network that is gone: again at the next beat
                found = self._read()
                if found == self._record:
                    os.utime(self._path)
                elif found is None:  # somebody has removed it
                    self._file.close()
                    try:
                        self.take()
                    except UserError as error:
                        _stop(error.lines[0])
                else:
                    _stop(f"{self._what} is now written by {_named(found)}")

    def _read(self) -> bytes | None:
        """Returns what the file holds, opened anew, as network drives ask; None without one."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _is_gone(self, record: bytes, has_locks: bool) -> bool:
        """Whether the writer of a file that nobody locks is no more."""
        content = _parsed(record)
        if content.get("boot") == _boot():  # the same kernel, though maybe another container
            alive = False if has_locks else provenance.is_alive(content.get("process", ""))
            if alive is not None:
                return not alive
        locks.warn(
            f"{self._what} was last written by {_named(record)}; waiting {GONE:.0f} s for a sign "
            "of life"
        )
        seen, until = os.stat(self._path).st_mtime_ns, time.monotonic() + GONE
        while time.monotonic() < until:
            time.sleep(min(1.0, GONE / 10))
            if self._read() != record or os.stat(self._path).st_mtime_ns != seen:
                return False
        return True

    def _refuse(self, record: bytes) -> NoReturn:
        raise UserError(
            f"{self._what} is being written by {_named(record)}; wait for its end, or stop it first"
        )


def _create(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CREAT, 0o644)


def _stop(why: str) -> NoReturn:
    """Ends this process at once: it must not write what another one writes."""
    locks.warn(f"{why}: this process was silent for too long and stops here, to write nothing more")
    os._exit(2)


def _named(record: bytes) -> str:
    """Returns the writer in words."""
    content = _parsed(record)
    host, number, _ = (content.get("process", "").rsplit(":", 2) + ["", ""])[:3]
    if not number:
        return "another process"
    here = host == provenance.process().rsplit(":", 2)[0]
    words = f"process {number}, " + ("" if here else f"on {host}, ")
    state = ""
    if here and content.get("boot") == _boot():
        with suppress(psutil.Error):
            stopped = psutil.Process(int(number)).status() == psutil.STATUS_STOPPED
            state = f", which is suspended (kill -CONT {number} lets it go on)" if stopped else ""
    return f"{words}since {content.get('since')}{state}"


def _parsed(record: bytes) -> dict[str, str]:
    try:
        content = json.loads(record)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:  # not Linux: every machine is another one
        return provenance.process().rsplit(":", 2)[0]

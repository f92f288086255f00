"""Who may make, use or remove an entry; the system frees the locks of processes that die."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from melanoma_exp.system.shown import printable


@contextmanager
def exclusive(entry: Path, wait: bool = True) -> Iterator[None]:
    """Lets one process at a time make or remove an entry.

    Raises:
        BlockingIOError: Another one does, and `wait` is false.
        OSError: The folder cannot be written.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    path = entry.with_name(f".{entry.name}.lock")
    while True:
        with path.open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                warn(f"cache: waiting for another process that makes {entry}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_same_file(lock, path):
                continue  # the previous holder has removed the lock's file: there may be a new one
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def shared(path: Path) -> IO[bytes]:
    """Opens a file that must not be removed while it is open.

    It may have been removed just before: see `is_same_file`.

    Raises:
        FileNotFoundError: There is none.
    """
    lock = path.open("rb")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def is_in_use(path: Path) -> bool:
    """Whether a process uses an existing file."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def is_same_file(opened: IO[bytes], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def warn(line: str) -> None:
    """Reports what takes time or was repaired."""
    print(printable(line), file=sys.stderr, flush=True)

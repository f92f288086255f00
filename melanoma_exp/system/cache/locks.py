"""Who may make, use or remove an entry; the system frees the locks of processes that die."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def alone(place: Path, wait: bool = True) -> Iterator[None]:
    """Lets one process at a time make or remove an entry.

    Raises:
        BlockingIOError: Another one does, and `wait` is false.
        OSError: The folder cannot be written.
    """
    place.parent.mkdir(parents=True, exist_ok=True)
    path = place.with_name(f".{place.name}.lock")
    while True:
        with path.open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not wait:
                    raise
                say(f"cache: waiting for another process that makes {place}")
                fcntl.flock(lock, fcntl.LOCK_EX)
            if not is_at(lock, path):
                continue  # the one before has removed the lock's file: there may be a newer one
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def share(path: Path) -> IO[bytes]:
    """Opens a file that must not go meanwhile; closing it lets it go.

    It may have gone just before: see `is_at`.

    Raises:
        FileNotFoundError: There is none.
    """
    lock = path.open("rb")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def is_shared(path: Path) -> bool:
    """Whether a process shares a file that is there."""
    try:
        with path.open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def is_at(opened: IO[bytes], path: Path) -> bool:
    """Whether an open file is still what lies at a path."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def say(line: str) -> None:
    """Tells the user what takes time or was mended."""
    print(line, file=sys.stderr, flush=True)

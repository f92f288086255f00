"""Locks on files: the system frees those of a process that dies, however it dies."""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from melanoma_exp.system.shown import printable

_WITHOUT = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)  # of a file system that has no locks
_told: set[int] = set()  # devices of which that was said


def acquire(file: IO[Any], shared: bool = False, wait: bool = True) -> bool:
    """Locks an open file until it is closed.

    Args:
        file: Open for writing, unless the lock is shared: some network drives ask for it.
        shared: Whether several processes may hold it.
        wait: Whether to wait for the process that holds it.

    Returns:
        Whether there is a lock: some file systems have none, which is said once.

    Raises:
        BlockingIOError: Another process holds it, and `wait` is false.
        OSError: It cannot be locked.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(file, kind if wait else kind | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
        if (device := os.fstat(file.fileno()).st_dev) not in _told:
            _told.add(device)
            warn(f"{file.name}: its file system has no locks: start nothing twice at the same time")
        return False
    return True


@contextmanager
def exclusive(entry: Path, wait: bool = True) -> Iterator[None]:
    """Lets one process at a time make or remove an entry of the cache.

    Raises:
        BlockingIOError: Another one does, and `wait` is false.
        OSError: The folder cannot be written.
    """
    entry.parent.mkdir(parents=True, exist_ok=True)
    path = entry.with_name(f".{entry.name}.lock")
    while True:
        with path.open("wb") as lock:
            try:
                acquire(lock, wait=False)
            except BlockingIOError:
                if not wait:
                    raise
                warn(f"cache: waiting for another process that makes {entry}")
                acquire(lock)
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
    acquire(lock, shared=True)
    return lock


def unshared(path: Path) -> IO[bytes]:
    """Opens a file that `shared` opens and locks it, if no process uses it.

    Raises:
        BlockingIOError: One does.
        FileNotFoundError: There is none.
        OSError: It cannot be locked: another user's, on a network drive.
    """
    lock: IO[bytes]
    try:
        lock = path.open("r+b")
    except OSError as error:  # another user's: most file systems lock it all the same
        if error.errno not in (errno.EACCES, errno.EROFS):
            raise
        lock = path.open("rb")
    try:
        acquire(lock, wait=False)
    except OSError:
        lock.close()
        raise
    return lock


def is_in_use(path: Path) -> bool:
    """Whether a process uses an existing file, or may."""
    try:
        unshared(path).close()
    except FileNotFoundError:
        return False
    except OSError as error:
        if error.errno not in (errno.EWOULDBLOCK, errno.EBADF):
            raise
        return True
    return False


def is_same_file(opened: IO[Any], path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(opened.fileno()), path.stat())
    except FileNotFoundError:
        return False


def warn(line: str) -> None:
    """Reports what takes time or was repaired."""
    print(printable(line), file=sys.stderr, flush=True)

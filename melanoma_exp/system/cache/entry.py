"""One entry of the cache: made by one process, checked when opened, in use until it is closed.

An entry is a folder whose `entry.json` names its files with their checksums. It is written under a
temporary name and renamed. Two locks, both freed by the system when a process dies: whoever makes
or removes an entry holds `.KEY.lock` beside it exclusively, whoever uses one shares `entry.json`. A
`.KEY.*.tmp` beside an entry thus belongs to the holder of the lock, or to a process that died.
"""

import errno
import json
import os
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from melanoma_exp.spec import UserError
from melanoma_exp.system import locks
from melanoma_exp.system.cache import checksums
from melanoma_exp.system.files import aside, partial_of, remove

MANIFEST = "entry.json"
Owner = TypeVar("Owner")
SCHEMA = 1
CHECKED = 2**29  # bytes of an entry that are read whenever it is opened; see `checksums.differing`


@dataclass(frozen=True)
class About:
    """What an entry holds, for its users to read.

    Attributes:
        belongs: The dataset, size and policy it was made for.
        images: How many images it holds or describes.
    """

    belongs: str
    images: int


class Entry:
    """A complete entry; nobody removes it before this object is gone."""

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        """Takes over the shared lock.

        Args:
            folder: Holds the entry's files.
            lock: Closing it releases the entry.
        """
        self.folder, self._lock = folder, lock

    def close(self) -> None:
        """Releases the entry."""
        self._lock.close()


def hold(owner: Owner, entry: Entry) -> Owner:
    """Keeps an entry in use as long as an object exists, and returns the object."""
    weakref.finalize(owner, entry.close)
    return owner


class DamageError(Exception):
    """An entry is not what was written; the message says why."""


def obtain(root: Path, kind: str, key: str, about: About, make: Callable[[Path], None]) -> Entry:
    """Returns an entry, made first where it is missing or damaged.

    Of several processes that want the same one, one makes it and the others wait.

    Args:
        root: The cache's folder.
        kind: What sort of entry, the folder below `root`.
        key: Identifies its content.
        about: Stored with it.
        make: Writes its files into an empty folder.

    Raises:
        UserError: The cache cannot be written.
    """
    folder = root / kind / key
    try:
        with suppress(DamageError):
            if found := _opened(folder):
                return found
        with locks.exclusive(folder):
            try:
                found = _opened(folder)  # another process may have made it in the meantime
            except DamageError as damage:
                found = None
                locks.warn(f"cache: {folder} is damaged and made again: {damage}")
            if found is None:
                _make(folder, kind, about, make)
                found = Entry(folder, locks.shared(folder / MANIFEST))
            return found
    except OSError as error:
        hint = ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "; free some, set cache.dir=FOLDER, or see melanoma-exp cache --help"
        reason = error.strerror or error
        raise UserError(f"cache.dir: cannot write {folder.parent}: {reason}{hint}") from error


def check(folder: Path, budget: int | None = None) -> dict[str, Any]:
    """Compares an entry's files with what was written.

    Args:
        folder: Of the entry.
        budget: Bytes that are read at most; None reads everything.

    Returns:
        The content of its `entry.json`.

    Raises:
        DamageError: A file is missing or differs.
    """
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
        if content["schema"] != SCHEMA:
            raise DamageError("it is of another version")
        for name, file in content["files"].items():
            size = (folder / name).stat().st_size
            if size != file["bytes"]:
                raise DamageError(f"{name} has {size} bytes instead of {file['bytes']}")
            share = None if budget is None else budget * size // max(content["bytes"], 1)
            if (block := checksums.differing(folder / name, file["sums"], share)) is not None:
                raise DamageError(f"{name} differs from byte {block * checksums.BLOCK} on")
    except FileNotFoundError as error:
        raise DamageError(f"{Path(error.filename).name} is missing") from None
    except (ValueError, TypeError, KeyError, AttributeError):
        raise DamageError(f"{MANIFEST} cannot be read") from None
    return content


def remove_entry(folder: Path) -> None:
    """Removes an entry: at once for every reader, then from disk."""
    gone = partial_of(folder)
    folder.rename(gone)
    remove(gone)


def _opened(folder: Path) -> Entry | None:
    """Returns the entry in use, None where there is none.

    Raises:
        DamageError: It is not what was written.
    """
    try:
        lock = locks.shared(folder / MANIFEST)
    except FileNotFoundError:
        if folder.is_dir():
            raise DamageError(f"{MANIFEST} is missing") from None
        return None
    try:
        if not locks.is_same_file(lock, folder / MANIFEST):  # removed or made again between the two
            lock.close()
            return None
        check(folder, CHECKED)
    except DamageError:
        lock.close()
        raise
    with suppress(OSError):  # the cache may be another user's
        os.utime(folder / MANIFEST)
    return Entry(folder, lock)


def _make(folder: Path, kind: str, about: About, make: Callable[[Path], None]) -> None:
    for left in folder.parent.glob(f".{folder.name}.*.tmp"):
        remove(left)
    with aside(folder) as partial:
        partial.mkdir()
        make(partial)
        paths = [path for path in sorted(partial.rglob("*")) if path.is_file()]
        sizes = [path.stat().st_size for path in paths]
        files = {
            path.relative_to(partial).as_posix(): {"bytes": size, "sums": checksums.of_file(path)}
            for path, size in zip(paths, sizes, strict=True)
        }
        content = {
            "schema": SCHEMA,
            "kind": kind,
            **asdict(about),
            "made": datetime.now(UTC).isoformat(timespec="seconds"),
            "bytes": sum(sizes),
            "files": files,
        }
        (partial / MANIFEST).write_text(json.dumps(content), encoding="utf-8")
        if folder.exists():
            remove_entry(folder)

"""Files and folders that are there whole or not at all, and the SHA-256 of a file."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(place: Path) -> Iterator[Path]:
    """Gives a path beside `place` to make a file or folder at.

    When the block ends it is synced and renamed to `place`, so a reader never meets half of it;
    when the block fails it is removed. A file replaces one that is there, a folder does not.

    Args:
        place: What is made; until then it has the name that `partial_of` gives.

    Raises:
        OSError: It cannot be written.
    """
    partial = partial_of(place)
    try:
        yield partial
        for path in [partial] if partial.is_file() else partial.rglob("*"):
            if path.is_file():
                sync(path)
        os.replace(partial, place)
    finally:
        remove(partial)


def write(place: Path, text: str) -> None:
    """Writes a text file whole or not at all; errors as in `aside`."""
    with aside(place) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(place: Path) -> None:
    """Returns when a file's content, or the names in a folder, would survive a power cut."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_of(place: Path) -> Path:
    """Returns a name beside `place` that no other has: `.NAME.<8 hex digits>.tmp`."""
    return place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}.tmp")


def remove(place: Path) -> None:
    """Removes a file or a folder with all it holds, if it is there."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

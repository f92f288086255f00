"""Files and folders that are complete or absent, and the SHA-256 of a file."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """Gives a path beside `target` to write a file or folder to.

    When the block ends it is synced and renamed to `target`, so no reader sees half of it; when the
    block fails it is removed. A file replaces an existing one, a folder does not.

    Args:
        target: The final path; until then it has the name that `partial_of` gives.

    Raises:
        OSError: It cannot be written.
    """
    partial = partial_of(target)
    try:
        yield partial
        for path in [partial] if partial.is_file() else partial.rglob("*"):
            if path.is_file():
                sync(path)
        os.replace(partial, target)
    finally:
        remove(partial)


def write(target: Path, text: str) -> None:
    """Writes a text file completely or not at all; errors as in `aside`."""
    with aside(target) as partial:
        partial.write_text(text, encoding="utf-8")


def sync(target: Path) -> None:
    """Returns when a file's content, or the names in a folder, would survive a power cut."""
    descriptor = os.open(target, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def partial_of(target: Path) -> Path:
    """Returns a unique path beside `target`: `.NAME.<8 hex digits>.tmp`."""
    return target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.tmp")


def remove(target: Path) -> None:
    """Removes a file or a folder with everything in it, if it exists."""
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target, ignore_errors=True)
    else:
        target.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

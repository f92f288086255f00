"""Files and folders that are complete or absent, files from outside, and the SHA-256 of a file."""

import errno
import hashlib
import os
import shutil
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from melanoma_exp.spec import UserError

CHUNK = 2**20  # bytes


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


def open_file(path: Path) -> BufferedReader:
    """Opens a file that the user names, for reading, unless it is something else by that name.

    A pipe, a device or a socket could keep the process waiting for ever, or never end.

    Raises:
        OSError: It cannot be opened or is no file; `strerror` says so.
    """
    _check_kind(path.stat().st_mode, path)
    # A pipe may have taken the file's place since: it is opened without waiting, and refused.
    file = open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    try:
        _check_kind(os.fstat(file.fileno()).st_mode, path)
    except OSError:
        file.close()
        raise
    return file


def read(path: Path, most: int) -> bytes:
    """Returns the content of a file that the user names.

    Args:
        path: The file.
        most: Bytes that it may hold.

    Raises:
        OSError: As of `open_file`, or it is larger.
    """
    with open_file(path) as file:
        size = os.fstat(file.fileno()).st_size
        # What may be read is not asked for at once: it would be allocated first.
        content = b"" if size > most else file.read(size + 1)
        while size < len(content) <= most and (more := file.read(CHUNK)):  # it has grown since
            content += more
    if max(size, len(content)) > most:
        raise OSError(errno.EFBIG, f"holds more than {most} bytes", str(path))
    return content


def read_named(path: Path, most: int = 2**28) -> bytes:
    """Returns the content of a file that belongs to a run or that the user names.

    Args:
        path: The file.
        most: Bytes that it may hold.

    Raises:
        UserError: It cannot be read, is no file or is larger.
    """
    try:
        return read(path, most)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def read_text(path: Path, most: int = 2**28) -> str:
    """Returns a text in UTF-8, with or without a byte order mark; arguments as of `read_named`.

    Raises:
        UserError: As there, or it is in another encoding; the line is named.
    """
    return decoded(read_named(path, most), path)


def decoded(content: bytes, path: Path) -> str:
    """Returns the content of a text file; errors as of `read_text`."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: is not in UTF-8 (byte 0x{content[error.start]:02x}); save the "
            "file as UTF-8"
        ) from error


def _check_kind(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        what = next((name for is_one, name in _KINDS if is_one(mode)), "something else")
        raise OSError(errno.EINVAL, f"is {what}, not a file", str(path))


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def sha256(path: Path) -> str:
    """Returns the SHA-256 of a file as 64 hex digits; errors as of `open_file`."""
    with open_file(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

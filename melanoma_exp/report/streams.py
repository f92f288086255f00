"""Standard output that outlives its terminal: what nobody can read must not end a training."""

import errno
import io
import re
import sys
from pathlib import Path
from typing import TextIO

# The terminal was closed; the reader of the pipe has ended; the disk of the log is full.
_LOST = (errno.EIO, errno.EPIPE, errno.ENOSPC, errno.EDQUOT)
_CONTROL = re.compile(rb"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[@-_]")  # colours, movements of the cursor


class _Log:
    """A file of the lines that a screen showed, as they stood in the end: no colours, no redraws.

    Attributes:
        path: None writes nothing. Set by `copy_to`; one for the process.
    """

    path: Path | None = None

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Writes the lines that `data` completes; without a word where the file cannot be."""
        *lines, rest = (self._rest + data).split(b"\n")
        begun, _, redrawn = rest.rpartition(b"\r")  # of a progress bar only the last state is kept
        self._rest = redrawn or begun.rpartition(b"\r")[2] + b"\r" * bool(begun)
        shown = [_CONTROL.sub(b"", line.rstrip(b"\r").rpartition(b"\r")[2]) for line in lines]
        if self.path is None or not shown:
            return
        try:
            with self.path.open("ab") as file:
                file.write(b"".join(line.rstrip() + b"\n" for line in shown))
        except OSError:  # the disk is full, the folder is gone: the run itself finds out
            return


class _Output(io.FileIO):
    """A file whose writes are lost, not refused, where nothing takes them."""

    def __init__(self, *args, **options) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **options)
        self._log = _Log()

    def write(self, data) -> int:  # type: ignore[no-untyped-def,override]
        """Writes, or pretends to."""
        try:
            written = super().write(data)
        except OSError as error:
            if error.errno not in _LOST:
                raise
            written = len(data)
        self._log.take(bytes(data[:written]))
        return written


def copy_to(path: Path) -> None:
    """Writes what standard output and error show from now on to a file too, behind what it holds.

    Only streams of this module are copied: those of the command line, not those of a notebook.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    _Log.path = path


def text(descriptor: int, like: TextIO | None = None) -> TextIO:
    """Returns a stream of text that writes to a descriptor by lines; closing it leaves that open.

    Args:
        descriptor: Open for writing.
        like: Whose encoding and buffering to take; None is UTF-8.
    """
    file = io.BufferedWriter(_Output(descriptor, "w", closefd=False))
    if not isinstance(like, io.TextIOWrapper):
        return io.TextIOWrapper(file, encoding="utf-8", line_buffering=True)
    return io.TextIOWrapper(
        file,
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )


def outlive_terminal() -> None:
    """Makes standard output and error such streams, unless a caller has replaced them."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        stream = getattr(sys, name)
        if isinstance(stream, io.TextIOWrapper) and stream is getattr(sys, f"__{name}__"):
            stream.flush()
            setattr(sys, name, text(descriptor, stream))

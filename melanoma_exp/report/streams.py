"""Standard output that outlives its terminal: what nobody can read must not end a training."""

import errno
import io
import sys
from typing import TextIO

# The terminal was closed; the reader of the pipe has ended; the disk of the log is full.
_LOST = (errno.EIO, errno.EPIPE, errno.ENOSPC, errno.EDQUOT)


class _Output(io.FileIO):
    """A file whose writes are lost, not refused, where nothing takes them."""

    def write(self, data) -> int:  # type: ignore[no-untyped-def,override]
        """Writes, or pretends to."""
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in _LOST:
                raise
            return len(data)


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

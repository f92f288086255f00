"""Checksums of files, block by block, so that a part of a large file can be checked.

They find what disks, copies and crashes do to a file. They are no defence against a forger, and for
that as fast as the file can be read, where SHA-256 costs twice the time.
"""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

BLOCK = 2**24  # bytes under one checksum
_PAGE = 2**12  # bytes whose words are added up


def of_file(path: Path) -> list[str]:
    """Returns the checksum of each block of a file, 16 hex digits each."""
    with path.open("rb", buffering=0) as file:
        return [_of_block(file.read(BLOCK)) for _ in range(-(-path.stat().st_size // BLOCK))]


def differing(path: Path, sums: Sequence[str], budget: int | None = None) -> int | None:
    """Compares a file with its checksums.

    Args:
        path: The file.
        sums: What `of_file` returned.
        budget: Bytes that are read at most; None reads all. Of a larger file every k-th block is
            read, beginning elsewhere each second.

    Returns:
        The first block found that differs, None where none is.
    """
    every = 1 if budget is None else max(1, -(-len(sums) * BLOCK // max(budget, BLOCK)))
    with path.open("rb", buffering=0) as file:
        for block in range(int(time.time()) % every, len(sums), every):
            file.seek(block * BLOCK)
            if _of_block(file.read(BLOCK)) != sums[block]:
                return block
    return None


def _of_block(content: bytes) -> str:
    """Returns the SHA-256 of the sums of 64-bit words of each page, and of what is left over.

    A changed bit, an empty page and a moved page all change it.
    """
    whole = len(content) // _PAGE * _PAGE
    words = np.frombuffer(content, "<u8", whole // 8).reshape(-1, _PAGE // 8)
    added = words.sum(axis=1, dtype="<u8").tobytes()
    return hashlib.sha256(added + content[whole:]).hexdigest()[:16]

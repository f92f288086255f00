"""Images in a `.npy` file, read and written row by row.

Mapped pages count as memory of the process that touched them, so files are read, not mapped: a set
of any size costs the memory of one batch, and a file that became shorter is an error, not SIGBUS.
"""

import os
import weakref
from collections.abc import Sequence
from pathlib import Path

import numpy as np


class Images:
    """Rows of an array; those of a memory-mapped one are read from its file. Safe for threads.

    It is pickled as the file's path.
    """

    def __init__(self, array: np.ndarray) -> None:
        """Opens the file of a memory-mapped array.

        Args:
            array: uint8 (n, height, width, 3), in memory or from `np.load(path, mmap_mode="r")`.
        """
        self.shape, self._array = array.shape, array
        self._file = -1
        if isinstance(array, np.memmap) and array.filename is not None:
            self._path, self._offset = Path(array.filename), int(array.offset)
            # Held open: a removed file can still be read.
            self._file = os.open(self._path, os.O_RDONLY)
            weakref.finalize(self, os.close, self._file)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickles the path, or the array if it is in memory."""
        return (_opened, (self._path,)) if self._file >= 0 else (Images, (self._array,))

    def take(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Returns the given rows, uint8 (m, height, width, 3), as `read` does."""
        out = np.empty((len(rows), *self.shape[1:]), np.uint8)
        for k, row in enumerate(rows):
            self.read(int(row), out[k])
        return out

    def read(self, row: int, image: np.ndarray) -> None:
        """Reads one row into uint8 (height, width, 3), C-contiguous.

        Raises:
            OSError: The file is shorter than it was.
        """
        if self._file < 0:
            image[...] = self._array[row]
        elif os.preadv(self._file, [image.data], self._offset + row * image.nbytes) != image.nbytes:
            raise OSError(f"{self._path} is shorter than it was when it was opened")


def create(path: Path, shape: tuple[int, ...]) -> int:
    """Makes a file for a uint8 array and allocates its disk blocks: a full disk fails here.

    Args:
        path: Of a new `.npy` file.
        shape: Of the array.

    Returns:
        The offset of the first row, in bytes.

    Raises:
        OSError: The disk is full.
    """
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_2_0(file, header)
        offset = file.tell()
        size = offset + int(np.prod(shape, dtype=np.int64))
        file.truncate(size)
        if hasattr(os, "posix_fallocate"):  # not on macOS
            os.posix_fallocate(file.fileno(), 0, size)
    return offset


def write(path: Path, offset: int, images: np.ndarray) -> None:
    """Writes rows at an offset of a file; safe for several threads and processes.

    Args:
        path: From `create`.
        offset: In bytes.
        images: uint8 (m, height, width, 3).

    Raises:
        OSError: They cannot be written.
    """
    with path.open("r+b", buffering=0) as file:
        file.seek(offset)
        left = np.ascontiguousarray(images).data.cast("B")
        while left:
            left = left[file.write(left) :]


def _opened(path: Path) -> Images:
    return Images(np.load(path, mmap_mode="r"))

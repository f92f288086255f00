"""Local features of images: where small structures are and what each looks like.

SIFT (Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", IJCV 60, 2004), described
by the square root of its shares (Arandjelovic and Zisserman, "Three things everyone should know
to improve object retrieval", CVPR 2012), in whole numbers: products of two descriptors are then
exact in float32, so that no order of sums and no number of threads changes a match.
"""

import os.path
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.spec import digest
from melanoma_exp.system.cache.entry import About, obtain
from melanoma_exp.system.threads import threaded_map

SIDE = 300  # pixels of the longer side: skin shows enough structure, and larger ones cost more
MOST = 256  # features of an image, those that stand out most
CONTRAST = 0.01  # least contrast of a feature; OpenCV's 0.04 finds next to none on even skin
LENGTH = 512  # of a descriptor
SIZE = 128  # numbers of a descriptor
BLOCK = 1024  # images of one entry of the cache: what a stopped audit does not do again
VERSION = 1  # raise it when the same file would give other features


@dataclass(frozen=True)
class LocalFeatures:
    """The features of `n` images.

    Attributes:
        positions: For each image float32 (m, 2), x and y in pixels at `SIDE`.
        descriptors: For each image uint8 (m, `SIZE`), memory-mapped.
    """

    positions: tuple[NDArray[np.float32], ...]
    descriptors: tuple[NDArray[np.uint8], ...]

    def __len__(self) -> int:
        """Returns the number of images."""
        return len(self.positions)


def load(
    paths: Sequence[Path],
    file_digests: Sequence[str],
    max_pixels: int,
    cache: Path,
    held: ExitStack,
) -> LocalFeatures:
    """Returns the features of readable files, block by block from the cache where it has them.

    Args:
        paths: The files.
        file_digests: SHA-256 of each.
        max_pixels: The survey has opened them under this limit.
        cache: The folder of cached data.
        held: Keeps the blocks in use.

    Raises:
        UserError: The cache cannot be written, or a file is no longer what it was.
    """
    positions: list[NDArray[np.float32]] = []
    descriptors: list[NDArray[np.uint8]] = []
    folder = os.path.commonpath([path.absolute() for path in paths])
    for start in range(0, len(paths), BLOCK):
        block = slice(start, start + BLOCK)
        some, digests = paths[block], file_digests[block]

        def make(into: Path, some: Sequence[Path] = some, digests: Sequence[str] = digests) -> None:
            _write(some, digests, max_pixels, into)

        key = digest([VERSION, list(digests)])
        entry = obtain(cache, "local_features", key, About(folder, len(some)), make)
        held.callback(entry.close)
        ends = np.load(entry.folder / "ends.npy")[:-1]
        positions += np.split(np.load(entry.folder / "positions.npy"), ends)
        descriptors += np.split(np.load(entry.folder / "descriptors.npy", mmap_mode="r"), ends)
    return LocalFeatures(tuple(positions), tuple(descriptors))


def of_image(image: Image.Image) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Returns positions and descriptors of one image, of the features that stand out most.

    Args:
        image: RGB, of any size.
    """
    import cv2

    scale = SIDE / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    how = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    grey = np.asarray(image.convert("L").resize(size, how))
    found, described = cv2.SIFT.create(contrastThreshold=CONTRAST).detectAndCompute(grey, None)
    if described is None:
        return np.zeros((0, 2), np.float32), np.zeros((0, SIZE), np.uint8)
    positions = np.array([one.pt for one in found], np.float32)
    response = np.array([one.response for one in found])
    first = np.lexsort((positions[:, 1], positions[:, 0], -response))[:MOST]
    shares = described[first] / np.maximum(described[first].sum(axis=1, keepdims=True), 1)
    return positions[first], np.rint(LENGTH * np.sqrt(shares)).clip(0, 255).astype(np.uint8)


def _write(paths: Sequence[Path], digests: Sequence[str], max_pixels: int, into: Path) -> None:
    def look(k: int) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
        return of_image(open_rgb(read_unchanged(paths[k], digests[k], max_pixels), max_pixels))

    found = threaded_map(look, range(len(paths)))
    np.save(into / "ends.npy", np.cumsum([len(positions) for positions, _ in found]))
    np.save(into / "positions.npy", np.concatenate([positions for positions, _ in found]))
    np.save(into / "descriptors.npy", np.concatenate([described for _, described in found]))

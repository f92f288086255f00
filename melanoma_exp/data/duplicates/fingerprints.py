"""Opens every image file once and records what distinguishes it from others.

That is the digest of its pixels, its neighbours, its size, colour and sharpness. The result is
cached, keyed by the files' contents. Memory holds a 32x32 thumbnail per image.
"""

import hashlib
import json
import os.path
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from melanoma_exp.data.duplicates import near_duplicates
from melanoma_exp.data.duplicates.near_duplicates import Pairs
from melanoma_exp.data.formats.opened import NotInstalledError
from melanoma_exp.data.image_file import open_rgb, read_unchanged
from melanoma_exp.spec import UserError, digest
from melanoma_exp.system.cache.entry import About, obtain
from melanoma_exp.system.threads import threaded_map

VERSION = 2  # raise it when the same files would give other fingerprints
FORM = 1  # raise it when the file of fingerprints holds something else
ARRAYS = "fingerprints.npz"
SHARPNESS_SIDE = 128  # pixels of a side at which sharpness is measured
TONE, TONES = 10, 0.8  # grey levels from black or white, and the share of a mask that is so


@dataclass(frozen=True)
class Fingerprints:
    """What `n` files show.

    Attributes:
        pixels: SHA-256 of the decoded pixels of each file, "" where it is unreadable.
        sizes: int64 (n, 2), height and width in pixels, 0 where unreadable.
        colours: float64 (n, 3), mean CIE lightness (0 to 100), a and b (about -128 to 127).
        sharpness: float64 (n,), log10 of the Laplacian's variance per variance of brightness, both
            at 128x128; NaN where there is nothing to be sharp.
        two_tone: bool (n,), whether it is black and white with little between, as masks are.
        pairs: Near-identical images of different pixels; of several files with equal pixels the
            first stands for all.
        bad: The reason for each unreadable row.
    """

    pixels: tuple[str, ...]
    sizes: np.ndarray
    colours: np.ndarray
    sharpness: np.ndarray
    two_tone: np.ndarray
    pairs: Pairs
    bad: dict[int, str]


def load(
    paths: Sequence[Path], file_digests: Sequence[str], max_pixels: int, cache: Path
) -> Fingerprints:
    """Returns the fingerprints of files, from the cache where it has them.

    Args:
        paths: The files.
        file_digests: SHA-256 of each, "" for those that are not opened.
        max_pixels: Larger images count as unreadable.
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written, a file is no longer what it was, or a library that
            reads its format is not installed.
    """
    key = digest([VERSION, FORM, near_duplicates.VERSION, max_pixels, list(file_digests)])
    about = About(os.path.commonpath([path.absolute() for path in paths]), len(paths))
    entry = obtain(
        cache,
        "fingerprints",
        key,
        about,
        lambda folder: _build(paths, file_digests, max_pixels, folder),
    )
    with closing(entry), np.load(entry.folder / ARRAYS) as stored:
        pairs = Pairs(stored["first"], stored["second"], stored["turn"], stored["distance"])
        bad = {int(row): why for row, why in json.loads(str(stored["bad"])).items()}
        pixels = tuple(map(str, stored["pixels"]))
        return Fingerprints(
            pixels=pixels,
            sizes=stored["sizes"],
            colours=stored["colours"],
            sharpness=stored["sharpness"],
            two_tone=stored["two_tone"],
            pairs=pairs,
            bad=bad,
        )


def _build(
    paths: Sequence[Path], file_digests: Sequence[str], max_pixels: int, folder: Path
) -> None:
    n, side = len(paths), near_duplicates.SIDE
    thumbnails = np.zeros((n, side, side, 3), np.uint8)
    sizes = np.zeros((n, 2), np.int64)
    colours, sharpness = np.zeros((n, 3)), np.full(n, np.nan)
    two_tone, pixels = np.zeros(n, bool), [""] * n
    bad: dict[int, str] = {}

    def look(row: int) -> None:
        content = read_unchanged(paths[row], file_digests[row], max_pixels)
        try:
            image = open_rgb(content, max_pixels)
        except NotInstalledError as error:  # the file is no worse for it
            raise UserError(f"{paths[row]}: {error}") from error
        except ValueError as error:
            bad[row] = str(error)
            return
        array = np.asarray(image)
        sizes[row] = array.shape[:2]
        pixels[row] = hashlib.sha256(repr(array.shape).encode() + array.tobytes()).hexdigest()
        thumbnails[row] = np.asarray(image.resize((side, side), Image.Resampling.BOX))
        colours[row] = _colour(thumbnails[row])
        sharpness[row] = _sharpness(image)
        two_tone[row] = _is_two_tone(thumbnails[row])

    threaded_map(look, [row for row in range(n) if file_digests[row]])
    _, first = np.unique(pixels, return_index=True)
    first = np.sort(first)
    thumbnails = thumbnails[first]  # the others are let go
    pairs = near_duplicates.find(thumbnails)
    np.savez_compressed(
        folder / ARRAYS,
        pixels=np.array(pixels, dtype="U64"),
        sizes=sizes,
        colours=colours,
        sharpness=sharpness,
        two_tone=two_tone,
        first=first[pairs.first],
        second=first[pairs.second],
        turn=pairs.turn,
        distance=pairs.distance,
        bad=np.array(json.dumps(dict(sorted(bad.items())))),
    )


def _colour(thumbnail: np.ndarray) -> np.ndarray:
    import cv2

    lab = cv2.cvtColor(thumbnail.astype(np.float32) / 255, cv2.COLOR_RGB2Lab)
    return lab.mean(axis=(0, 1))


def _is_two_tone(thumbnail: np.ndarray) -> bool:
    """Whether almost all of a picture is black or white, and there is some of both."""
    darkest, lightest = thumbnail.min(axis=-1), thumbnail.max(axis=-1)
    black, white = (lightest <= TONE).mean(), (darkest >= 255 - TONE).mean()
    return bool(min(black, white) > 0.005 and black + white >= TONES)


def _sharpness(image: Image.Image) -> float:
    import cv2

    side = SHARPNESS_SIDE
    grey = np.asarray(
        image.convert("L").resize((side, side), Image.Resampling.BILINEAR), np.float32
    )
    edges, contrast = float(cv2.Laplacian(grey, cv2.CV_32F).var()), float(grey.var())
    return float(np.log10(edges / contrast)) if min(edges, contrast) > 1e-3 else np.nan

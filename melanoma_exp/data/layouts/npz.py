"""Images in a `.npz` file of MedMNIST: unpacked once into the cache, then files like others."""

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.spec import UserError
from melanoma_exp.system import files
from melanoma_exp.system.cache.entry import About, Entry, obtain

PARTS = ("train", "val", "test")
_read: dict[Path, Entry] = {}  # its files may be read until the process ends


def find(root: Path, name: str | None, classes: Sequence[str], cache: Path) -> Listing:
    """Lists the images of a file with the arrays `train_images`, `train_labels` and so on.

    Args:
        root: The folder.
        name: The path of the file below it; None is the only one in it and below.
        classes: What the labels 0, 1, ... are.
        cache: The folder that holds the unpacked images between runs.

    Raises:
        UserError: The file is missing, one of several or not as expected, or the cache cannot be
            written.
    """
    path = _file(root, name)
    labels = {part: _labels(path, part, classes) for part in PARTS}
    try:
        with files.open_file(path) as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    about = About(path.name, sum(map(len, labels.values())))
    entry = obtain(cache, "unpacked", sha256, about, lambda folder: _unpack(path, folder))
    _read[entry.folder] = entry
    rows = [
        Row(
            path=entry.folder / f"{part}_{k:05d}.png",
            source=f"{part}/{k:05d}",
            label=classes[label],
            official=part,
        )
        for part in PARTS
        for k, label in enumerate(labels[part].tolist())
    ]
    return from_rows(rows, [f"{path.name} names no lesions: only near-duplicates are grouped"])


def _file(root: Path, name: str | None) -> Path:
    if name is not None:
        return root / Path(name).expanduser()
    found = sorted(root.rglob("*.npz"))
    if len(found) != 1:
        named = ", ".join(path.relative_to(root).as_posix() for path in found[:5])
        raise UserError(
            f"{root}: "
            + (f"holds {named}: name one with dataset.file=FILE" if found else "holds no .npz file")
        )
    return found[0]


def _arrays(path: Path, *names: str) -> Iterator[np.ndarray]:
    """Gives arrays of the file, one after the other.

    Raises:
        UserError: It cannot be read or lacks one.
    """
    try:
        with files.open_file(path) as file, np.load(file, allow_pickle=False) as arrays:
            for name in names:
                yield arrays[name]
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    except KeyError as error:
        raise UserError(f"{path}: lacks the array {error.args[0].split()[0]}") from error
    except Exception as error:  # a damaged archive can make NumPy raise anything
        raise UserError(f"{path}: cannot be read as a .npz file: {error}") from error


def _labels(path: Path, part: str, classes: Sequence[str]) -> np.ndarray:
    """Returns the labels of a part, int (n,)."""
    (labels,) = _arrays(path, f"{part}_labels")
    labels = labels.reshape(-1)
    if labels.dtype.kind not in "iu" or labels.min(initial=0) < 0:
        raise UserError(f"{path}: {part}_labels are no numbers of classes")
    if (most := int(labels.max(initial=0))) >= len(classes):
        raise UserError(f"{path}: {part}_labels has {most}, dataset.classes names {len(classes)}")
    return labels


def _unpack(path: Path, folder: Path) -> None:
    """Writes each image as a PNG, which keeps its pixels."""
    for part in PARTS:
        (images,) = _arrays(path, f"{part}_images")
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[3] != 3:
            raise UserError(
                f"{path}: {part}_images is {images.dtype} {images.shape}, expected uint8 images of "
                "three channels"
            )
        for k, pixels in enumerate(images):
            save: Any = Image.fromarray(pixels).save
            save(folder / f"{part}_{k:05d}.png", compress_level=1)

"""Finds image files below a folder and keeps count of what is left out: nothing goes unmentioned.

What is not an image is never read as data: `Thumbs.db`, `__MACOSX`, the `output` folder that
Augmentor leaves inside its source, masks and segmentations, formats that are not decoded.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from melanoma_exp.system.cache.entry import MANIFEST

SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"),
    *(".heic", ".heif", ".avif", ".dcm", ".dicom"),
)
# Images too, which nothing here decodes.
OTHER_FORMATS = (
    *(".gif", ".jfif", ".jpe", ".jp2", ".j2k", ".jxl"),
    *(".nii", ".dng", ".cr2", ".nef", ".arw"),
)
IGNORED_FOLDERS = ("output", "__macosx")
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_MASK = frozenset(
    (
        *("mask", "masks", "segmentation", "segmentations", "seg", "segs", "superpixels"),
        *("groundtruth", "truth", "annotation", "annotations", "contour", "contours", "trimap"),
    )
)
SHOWN = 5


def names_mask(name: str, folder: bool) -> bool:
    """Whether a name says that it holds masks or segmentations, not photographs.

    Args:
        name: Of a file without suffix, which says so by its first or last word, or of a folder.
        folder: Which of them.
    """
    words = [word.lower() for word in _WORD.findall(name)]
    return bool(_MASK.intersection(words if folder else [*words[:1], *words[-1:]]))


def is_image(name: str) -> bool:
    """Whether a file's name is that of an image, in a format that is decoded or not."""
    return name.lower().endswith((*SUFFIXES, *OTHER_FORMATS)) and not name.startswith(".")


class LeftOut:
    """Counts what is left out of a dataset, to be noted."""

    def __init__(self, root: Path) -> None:
        """Starts at nothing.

        Args:
            root: Of the dataset; folders are named from it.
        """
        self._root = root
        self.entries: Counter[str] = Counter()
        self._mask_folders: dict[str, int] = {}
        self._mask_files: list[str] = []
        self._formats: Counter[str] = Counter()
        self._folders: list[str] = []

    def folder(self, path: Path, why: str) -> None:
        """Counts a folder and the images below it.

        Args:
            path: It.
            why: Said where it holds images.
        """
        held = sum(is_image(name) for _, _, files in os.walk(path) for name in files)
        shown = path.relative_to(self._root).as_posix()
        if names_mask(path.name, folder=True):
            self._mask_folders[f"{shown}/"] = held
        elif held:
            self._folders.append(f"{shown}/ holds {held} images that are not used: {why}")
        else:
            self.entries[f"{path.name}/"] += 1

    def images(self, path: Path, n: int, why: str) -> None:
        """Counts images that lie in a folder where none are expected.

        Args:
            path: The folder.
            n: How many.
            why: They are left out.
        """
        shown = path.name if path == self._root else path.relative_to(self._root).as_posix()
        self._folders += [f"{shown}/ holds {n} images that are not used: {why}"] * (n > 0)

    def file(self, name: str) -> None:
        """Counts a file that is no image to read."""
        stem, suffix = os.path.splitext(name)
        if suffix.lower() in OTHER_FORMATS and is_image(name):
            self._formats[suffix.lower()] += 1
        elif is_image(name) and names_mask(stem, folder=False):
            self._mask_files.append(name)
        elif name != MANIFEST:  # of the cache, in which the demo images are drawn
            self.entries[name] += 1

    def notes(self, entries: bool = True) -> list[str]:
        """Returns a sentence for each sort of thing left out.

        Args:
            entries: Whether to name what is no image at all.
        """
        notes = []
        if entries and self.entries:
            counts = self.entries.most_common(SHOWN)
            named = ", ".join(f"{name} ({n}x)" if n > 1 else name for name, n in counts)
            total = sum(self.entries.values())
            notes.append(f"ignored {total} entries that are not images: {named}")
        if masks := len(self._mask_files) + sum(self._mask_folders.values()):
            where = ", ".join([*self._mask_folders, *self._mask_files[:1]])
            notes.append(
                f"{masks} images are not used, for their names say masks or segmentations: {where}"
            )
        if self._formats:
            total = sum(self._formats.values())
            kinds = ", ".join(f"{n} {suffix}" for suffix, n in sorted(self._formats.items()))
            notes.append(
                f"{total} images are left out, for their format is not read: {kinds}; convert "
                "them to PNG"
            )
        more = len(self._folders) - SHOWN
        notes += [*self._folders[:SHOWN], *([f"{more} more folders like these"] * (more > 0))]
        return notes


def is_ignored(name: str) -> bool:
    """Whether a folder's images are left out by its name alone."""
    return is_passed_over(name) or names_mask(name, folder=True)


def is_passed_over(name: str) -> bool:
    """Whether nothing at all is read below a folder of that name."""
    return name.startswith(".") or name.lower() in IGNORED_FOLDERS


def split_entries(folder: Path) -> tuple[list[Path], list[Path]]:
    """Returns the folders and the files directly in a folder, each by name."""
    with os.scandir(folder) as entries:
        # A link may lead nowhere or to itself, at which `e.is_dir()` would end.
        found = sorted(
            (e.name, os.path.isdir(e) if e.is_symlink() else e.is_dir()) for e in entries
        )
    folders = [folder / name for name, is_folder in found if is_folder]
    return folders, [folder / name for name, is_folder in found if not is_folder]


def select(files: Iterable[Path], left_out: LeftOut) -> list[Path]:
    """Returns the image files among files; the others are counted as left out."""
    images = []
    for path in files:
        readable = path.name.lower().endswith(SUFFIXES) and is_image(path.name)
        if readable and not names_mask(path.stem, folder=False):
            images.append(path)
        else:
            left_out.file(path.name)
    return images


def below(folder: Path, left_out: LeftOut) -> list[Path]:
    """Returns the image files in a folder and in all folders below it."""
    found = []
    for place, folders, files in os.walk(folder):
        for name in [name for name in folders if is_ignored(name)]:
            left_out.folder(Path(place) / name, "folders of this name are ignored")
            folders.remove(name)
        folders.sort()
        found += select((Path(place) / name for name in sorted(files)), left_out)
    return found

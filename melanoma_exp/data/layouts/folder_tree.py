"""Walks a folder of class folders: which image lies where, and what is left out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data import class_names
from melanoma_exp.data.layouts.image_files import (
    SUFFIXES,
    LeftOut,
    below,
    is_ignored,
    select,
    split_entries,
)
from melanoma_exp.spec import UserError

# Folders that say which part they hold, in lower case.
PARTS = {"train": "train", "training": "train", "test": "test", "testing": "test"}
UNUSED_PARTS = ("val", "valid", "validation", "dev")


@dataclass(frozen=True)
class Found:
    """An image file, its folder's label ("" where the folder is no class), and its part."""

    path: Path
    label: str
    part: str


def walk(root: Path, left_out: LeftOut, labels: Iterable[str]) -> list[Found]:
    """Returns every image.

    Args:
        root: The folder.
        left_out: Counts what is not used.
        labels: Those of the CSV; none where the folders alone label.

    Raises:
        UserError: There are no class folders, or one without images.
    """
    folders, files = split_entries(root)
    official: dict[str, Path] = {}
    for folder in folders:
        part = PARTS.get(folder.name.lower())
        if part in official:
            both = f"{official[part].name}/ and {folder.name}/"
            raise UserError(
                f"{root}: holds {both}, both of which mean {part}; rename or merge them"
            )
        if part:
            official[part] = folder
    sides = {part: official[part] for part in ("train", "test") if part in official}
    sides = sides or {"train": root}
    classes = {part: _class_folders(folder) for part, folder in sides.items()}
    known = {class_names.key(label) for label in labels}
    named = {class_names.key(folder.name) for found in classes.values() for folder in found}
    if known and not known & named:
        return _labelled_by_table(root, official, left_out)
    if official:
        for folder in folders:
            if folder not in official.values():
                left_out.folder(folder, _why_unused(folder.name))
        images = select(files, left_out)
        left_out.images(root, len(images), "train/ and test/ alone are read")
    found: list[Found] = []
    for part, folder in sides.items():
        found += _in_class_folders(folder, classes[part], part, left_out)
    return found


def _labelled_by_table(root: Path, official: Mapping[str, Path], left_out: LeftOut) -> list[Found]:
    """Returns all images, wherever they lie, without a label."""
    found = [
        Found(
            path,
            "",
            next((part for part, folder in official.items() if folder in path.parents), "train"),
        )
        for path in below(root, left_out)
    ]
    if not found:
        raise UserError(f"{root}: holds no {'/'.join(SUFFIXES)} image{_seen(left_out)}")
    return found


def _in_class_folders(
    folder: Path, classes: list[Path], part: str, left_out: LeftOut
) -> list[Found]:
    """Returns the images of the class folders in a folder."""
    folders, files = split_entries(folder)
    for other in folders:
        if other not in classes:
            left_out.folder(other, "folders of this name are ignored")
    loose = select(files, left_out)
    if not classes:
        flat = (
            f"; {len(loose)} images lie in it directly: make a folder for each class, or name a "
            "table of their labels (dataset.csv, dataset.id_column, dataset.label_column)"
        )
        raise UserError(
            f"{folder}: expected one folder of images per class, found none"
            + (flat if loose else _seen(left_out))
        )
    left_out.images(folder, len(loose), "they lie in no class folder")
    found: list[Found] = []
    for class_folder in classes:
        inner, files = split_entries(class_folder)
        for one in inner:
            left_out.folder(one, "only images directly in a class folder are")
        images = select(files, left_out)
        if not images:
            raise UserError(
                f"{class_folder}: the class folder holds no {'/'.join(SUFFIXES)} image; "
                f"fill it or remove it{_seen(left_out)}"
            )
        found += [Found(path, class_folder.name, part) for path in images]
    return found


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in split_entries(folder)[0] if not is_ignored(path.name)]


def _seen(left_out: LeftOut) -> str:
    """Returns what was seen in place of images, for a message."""
    notes = left_out.notes(entries=False)
    return f" ({notes[0]})" if notes else ""


def _why_unused(name: str) -> str:
    if name.lower() in UNUSED_PARTS:
        return (
            "validation images are drawn from train/; move them there, or give a split of your "
            "own (split=file)"
        )
    return "beside train/ and test/ no folder is read"

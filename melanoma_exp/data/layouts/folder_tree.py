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
    is_image,
    select,
    split_entries,
)
from melanoma_exp.spec import UserError

# Folders that say which part they hold, in lower case.
PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Found:
    """An image file.

    Attributes:
        path: The file.
        label: Of its folder, "" where that is no class.
        part: train, val or test.
        inner: The folder within the class folder that it lies in, "" for none.
    """

    path: Path
    label: str
    part: str
    inner: str = ""


def unwrap(root: Path) -> Path:
    """Returns the folder of the dataset where a folder holds it and nothing else, else itself.

    Archives often unpack to one folder too many.

    Args:
        root: The folder that the user names.
    """
    while True:
        folders, files = split_entries(root)
        usable = [folder for folder in folders if not is_ignored(folder.name)]
        if len(usable) != 1 or any(is_image(path.name) for path in files):
            return root
        inner, files = split_entries(usable[0])
        # Images in it make it a class, and its name may make it a part.
        a_class = any(is_image(path.name) for path in files)
        if (
            a_class
            or usable[0].name.lower() in PARTS
            or not any(not is_ignored(f.name) for f in inner)
        ):
            return root
        root = usable[0]


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
    official = _parts(root, folders)
    sides = {part: official[part] for part in ("train", "val", "test") if part in official}
    sides = {part: _without_double(folder) for part, folder in sides.items()} or {"train": root}
    classes = {part: _class_folders(folder) for part, folder in sides.items()}
    known = {class_names.key(label) for label in labels}
    named = {class_names.key(folder.name) for found in classes.values() for folder in found}
    if known and not known & named:
        return _labelled_by_table(root, official, left_out)
    if official:
        for folder in folders:
            if folder not in official.values():
                left_out.folder(folder, f"beside {_listed(official)} no folder is read")
        images = select(files, left_out)
        left_out.images(root, len(images), f"{_listed(official)} alone are read")
    found: list[Found] = []
    for part, folder in sides.items():
        found += _in_class_folders(folder, classes[part], part, left_out, not official)
    return found


def _parts(root: Path, folders: Iterable[Path]) -> dict[str, Path]:
    """Returns the folders of official parts; none where there is neither train nor test."""
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
    return official if {"train", "test"} & set(official) else {}


def _without_double(folder: Path) -> Path:
    """Returns the folder within a part's folder that has its name again and is alone there."""
    inner = _class_folders(folder)
    same = len(inner) == 1 and PARTS.get(inner[0].name.lower()) == PARTS[folder.name.lower()]
    return inner[0] if same else folder


def _listed(official: Mapping[str, Path]) -> str:
    *first, last = (f"{folder.name}/" for folder in official.values())
    return f"{', '.join(first)} and {last}" if first else last


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
    folder: Path, classes: list[Path], part: str, left_out: LeftOut, parts_within: bool
) -> list[Found]:
    """Returns the images of the class folders in a folder, nested ones too.

    Args:
        folder: That of a part, or of all.
        classes: The class folders in it.
        part: Which it is.
        left_out: Counts what is not used.
        parts_within: Whether folders within class folders may be parts.
    """
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
        images = below(class_folder, left_out)
        if not images:
            raise UserError(
                f"{class_folder}: the class folder holds no {'/'.join(SUFFIXES)} image; add its "
                f"images, or take the folder away if it is no class{_seen(left_out)}"
            )
        for path in images:
            above = path.relative_to(class_folder).parts[:-1]
            inner = above[0] if above else ""
            within = PARTS.get(inner.lower()) if parts_within else None
            found.append(Found(path, class_folder.name, within or part, "" if within else inner))
    return found


def _class_folders(folder: Path) -> list[Path]:
    return [path for path in split_entries(folder)[0] if not is_ignored(path.name)]


def _seen(left_out: LeftOut) -> str:
    """Returns what was seen in place of images, for a message."""
    notes = left_out.notes(entries=False)
    return f" ({notes[0]})" if notes else ""

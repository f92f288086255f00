"""Finds image files and their labels: in class folders, or named by a CSV.

What is not an image is ignored and mentioned, never read as data: `Thumbs.db`, `__MACOSX`, the
`output` folder that Augmentor leaves inside its source.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from melanoma_exp.data.groups import image_id, is_isic_id
from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.data.metadata import Columns, Table, read
from melanoma_exp.spec import UserError

SUFFIXES = (".jpg", ".jpeg", ".png")
IGNORED_FOLDERS = ("output", "__macosx")


def find(root: Path, columns: Columns, published: Mapping[str, Mapping[str, int]]) -> Listing:
    """Lists `root/<class>/*` or `root/Train/<class>/*` and `root/Test/<class>/*`.

    Args:
        root: The folder.
        columns: The metadata CSV and its columns.
        published: Published counts by part and class, to note differences from.

    Raises:
        UserError: No class folders, an empty one, or a CSV that is wrong.
    """
    strays: Counter[str] = Counter()
    paths, folder_labels, side = _walk(root, strays)
    strays.pop(columns.csv or "", None)
    table = columns.read(root)
    ids = [image_id(path.stem) for path in paths]
    labels = [
        (table.get(k, columns.label) or label) for k, label in zip(ids, folder_labels, strict=True)
    ]
    sources = [path.relative_to(root).as_posix() for path in paths]
    notes = _stray_notes(strays)
    if columns.csv and not table.rows:
        notes.append(
            f"{columns.csv} is not in {root} or names no image: no official labels and no lesions "
            "are known; images of one lesion that look different may be on both sides of a split"
        )
    elif columns.csv:
        unnamed = [s for s, k in zip(sources, ids, strict=True) if k not in table.rows]
        missing = f"{len(unnamed)} of {len(ids)} images are not in {columns.csv}"
        notes += [f"{missing} (first: {unnamed[0]})"] if unnamed else []
        notes += table.without_file(ids)
        notes += _new_class_notes(table, columns.label, set(folder_labels))
    notes += _count_notes(Counter(zip(side, labels, strict=True)), published)
    confirmed = tuple(columns.official_classes.get(table.get(k, columns.official), ()) for k in ids)
    lesions = [table.get(k, columns.group) for k in ids]
    listing = _listing(paths, sources, ids, labels, lesions, side, notes, table)
    return replace(listing, confirmed=confirmed, published=published)


def find_by_csv(root: Path, csv_path: str, classes: tuple[str, ...]) -> Listing:
    """Lists the images named by a metadata CSV in HAM10000's form, wherever below `root` they lie.

    Args:
        root: The folder.
        csv_path: The CSV below it.
        classes: The labels there may be.

    Raises:
        UserError: The CSV is missing or wrong, or no image of it is there.
    """
    table = read(root / csv_path, "image_id", "dx", "lesion_id")
    table.check("dx", classes, "dataset.classes:", True)
    strays: Counter[str] = Counter()
    files = {}
    for folder, folders, _ in os.walk(root):
        folders[:] = sorted(f for f in folders if not _ignored(f))
        files.update({path.stem: path for path in _images(Path(folder), strays, inside=True)})
    ids = sorted(set(table.rows) & set(files))
    if not ids:
        raise UserError(f"{root}: holds none of the {len(table.rows)} images that {csv_path} names")
    unnamed = sorted(set(files) - set(ids))
    notes = table.without_file(ids)
    if unnamed:
        first = f"first: {unnamed[0]}"
        notes.append(f"{len(unnamed)} image files are not in {csv_path} and were ignored ({first})")
    paths = [files[k] for k in ids]
    labels = [table.get(k, "dx") for k in ids]
    lesions = [table.get(k, "lesion_id") for k in ids]
    listing = _listing(paths, ids, ids, labels, lesions, ["train"] * len(ids), notes, table)
    return replace(listing, confirmed=tuple((label,) for label in labels))


def _walk(root: Path, strays: Counter[str]) -> tuple[list[Path], list[str], list[str]]:
    """Returns the path, the folder's label and the part of every image."""
    parts = {d.name.lower(): d for d in root.iterdir() if d.is_dir()}
    official = {part: parts[part] for part in ("train", "test") if part in parts}
    if official:
        strays.update(f"{name}/" for name in sorted(set(parts) - set(official)))
    found: list[tuple[Path, str, str]] = []
    for part, folder in (official or {"train": root}).items():
        classes = _class_folders(folder, strays)
        if not classes:
            raise UserError(f"{folder}: expected one folder of images per class, found none")
        for class_folder in classes:
            files = _images(class_folder, strays)
            if not files:
                raise UserError(
                    f"{class_folder}: the class folder holds no {'/'.join(SUFFIXES)} image; "
                    "fill it or remove it"
                )
            found += [(path, class_folder.name, part) for path in files]
    paths, labels, sides = zip(*found, strict=True)
    return list(paths), list(labels), list(sides)


def _listing(
    paths: list[Path],
    sources: list[str],
    ids: list[str],
    labels: list[str],
    lesions: list[str],
    side: list[str],
    notes: list[str],
    table: Table,
) -> Listing:
    # A name like `001` says nothing: other folders may have another image of that name.
    image_ids = [k if k in table.rows or is_isic_id(k) else "" for k in ids]
    metadata = [table.rows.get(k, {}) for k in ids]
    columns = zip(paths, sources, labels, lesions, side, image_ids, metadata, strict=True)
    return from_rows([Row(*row) for row in columns], notes)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in IGNORED_FOLDERS


def _class_folders(folder: Path, strays: Counter[str]) -> list[Path]:
    entries = sorted(folder.iterdir(), key=lambda path: path.name)
    folders = [path for path in entries if path.is_dir() and not _ignored(path.name)]
    strays.update(path.name for path in entries if path not in folders)
    return folders


def _images(folder: Path, strays: Counter[str], inside: bool = False) -> list[Path]:
    """Returns the images directly in a folder by name; `inside` leaves its folders unmentioned."""
    with os.scandir(folder) as entries:
        # A link may lead nowhere or to itself, at which `e.is_dir()` would end.
        found = sorted(
            (e.name, os.path.isdir(e) if e.is_symlink() else e.is_dir()) for e in entries
        )
    images = []
    for name, is_folder in found:
        if not is_folder and name.lower().endswith(SUFFIXES) and not name.startswith("."):
            images.append(folder / name)
        elif not (is_folder and inside):
            strays[name + "/" * is_folder] += 1
    return images


def _stray_notes(strays: Counter[str]) -> list[str]:
    if not strays:
        return []
    named = ", ".join(f"{name} ({n}x)" if n > 1 else name for name, n in strays.most_common(5))
    return [f"ignored {sum(strays.values())} entries that are not images: {named}"]


def _count_notes(
    found: Counter[tuple[str, str]], expected: Mapping[str, Mapping[str, int]]
) -> list[str]:
    wanted = {(part, name): n for part, counts in expected.items() for name, n in counts.items()}
    different = [
        f"{part}/{name} {found[part, name]} (published {wanted.get((part, name), 0)})"
        for part, name in sorted(set(wanted) | set(found))
        if found[part, name] != wanted.get((part, name), 0)
    ]
    if not wanted or not different:
        return []
    return [f"counts differ from the published ones: {', '.join(different)}"]


def _new_class_notes(table: Table, column: str | None, folders: set[str]) -> list[str]:
    """Returns a note on labels of the CSV that no folder has."""
    new = {row[column]: image for image, row in table.rows.items() if column and row[column]}
    new_labels = [
        f"{label} (last on line {table.lines[image]})"
        for label, image in sorted(new.items())
        if label not in folders
    ]
    return (
        [f"labels of {table.path.name} that no folder has: {', '.join(new_labels)}"]
        if new_labels
        else []
    )

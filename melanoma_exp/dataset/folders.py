"""Finds image files and their labels: in class folders, or named by a CSV.

What is not an image is ignored and mentioned, never read as data: `Thumbs.db`, `__MACOSX`, the
`output` folder that Augmentor leaves inside its source.
"""

import csv
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from melanoma_exp.dataset.groups import image_id, is_isic_id, unite
from melanoma_exp.dataset.spec import Listing
from melanoma_exp.samples import Samples
from melanoma_exp.spec import UserError

SUFFIXES = (".jpg", ".jpeg", ".png")
IGNORED_FOLDERS = ("output", "__macosx")
Rows = dict[str, dict[str, str]]


def find(
    root: Path,
    csv_path: str | None = None,
    id_column: str = "image_id",
    label_column: str | None = None,
    group_column: str | None = "lesion_id",
    expected: Mapping[str, Mapping[str, int]] | None = None,
) -> Listing:
    """Lists `root/<class>/*` or `root/Train/<class>/*` and `root/Test/<class>/*`.

    Args:
        root: The folder.
        csv_path: A CSV below `root` with further columns by image id.
        id_column: Its column of image ids.
        label_column: Its column of labels that replace the folder's where not empty.
        group_column: Its column of groups (lesions).
        expected: Published counts by part and class, to report differences from.

    Raises:
        UserError: No class folders, an empty one, or a CSV that lacks a column.
    """
    strays: Counter[str] = Counter()
    parts = {d.name.lower(): d for d in root.iterdir() if d.is_dir()}
    official = {part: parts[part] for part in ("train", "test") if part in parts}
    if official:
        strays.update(f"{name}/" for name in sorted(set(parts) - set(official)))
    paths: list[Path] = []
    folder_labels: list[str] = []
    side: list[str] = []
    for part, folder in (official or {"train": root}).items():
        classes = _class_folders(folder, strays)
        if not classes:
            raise UserError(f"{folder}: expected one folder of images a class, found none")
        for class_folder in classes:
            files = _images(class_folder, strays)
            if not files:
                raise UserError(
                    f"{class_folder}: the class folder holds no {'/'.join(SUFFIXES)} image; "
                    "fill it or remove it"
                )
            paths += files
            folder_labels += [class_folder.name] * len(files)
            side += [part] * len(files)
    rows = _read_csv(root / csv_path, id_column, label_column, group_column) if csv_path else {}
    ids = [image_id(path.stem) for path in paths]
    labels = [
        (rows.get(k, {}).get(label_column or "") or label)
        for k, label in zip(ids, folder_labels, strict=True)
    ]
    notes = _stray_notes(strays)
    unnamed = sum(k not in rows for k in ids) if csv_path else 0
    notes += [f"{unnamed} of {len(ids)} images are not in {csv_path}"] if unnamed else []
    notes += _count_notes(Counter(zip(side, labels, strict=True)), expected or {})
    lesions = [rows.get(k, {}).get(group_column or "", "") for k in ids]
    sources = [path.relative_to(root).as_posix() for path in paths]
    return _listing(paths, sources, ids, labels, lesions, side, notes, rows)


def find_by_csv(root: Path, csv_path: str) -> Listing:
    """Lists the images named by a metadata CSV in HAM10000's form, wherever below `root` they lie.

    Raises:
        UserError: The CSV is missing or lacks a column, or no image of it is there.
    """
    rows = _read_csv(root / csv_path, "image_id", "dx", "lesion_id")
    strays: Counter[str] = Counter()
    files = {}
    for folder, folders, _ in os.walk(root):
        folders[:] = sorted(f for f in folders if not _ignored(f))
        files.update({path.stem: path for path in _images(Path(folder), strays, inside=True)})
    ids = sorted(set(rows) & set(files))
    if not ids:
        raise UserError(f"{root}: holds none of the {len(rows)} images that {csv_path} names")
    lost, unnamed = len(rows) - len(ids), len(files) - len(ids)
    notes = [f"{lost} images of {csv_path} have no file"] if lost else []
    notes += [f"{unnamed} image files are not in {csv_path} and were ignored"] if unnamed else []
    paths = [files[k] for k in ids]
    labels = [rows[k]["dx"] for k in ids]
    lesions = [rows[k]["lesion_id"] for k in ids]
    return _listing(paths, ids, ids, labels, lesions, ["train"] * len(ids), notes, rows)


def _listing(
    paths: list[Path],
    sources: list[str],
    ids: list[str],
    labels: list[str],
    lesions: list[str],
    side: list[str],
    notes: list[str],
    rows: Rows,
) -> Listing:
    classes = tuple(sorted(set(labels)))
    # A name like `001` says nothing: other folders may have another picture of that name.
    pictures = [k if k in rows or is_isic_id(k) else "" for k in ids]
    samples = Samples(
        classes=classes,
        image=np.arange(len(paths)),
        source=np.array(sources, dtype=str),
        copy=np.zeros(len(paths), np.int64),
        label=np.searchsorted(np.array(classes), np.array(labels)),
        group=unite([lesions, pictures, sources]),
        official=np.array(side, dtype=str),
    )
    metadata = {s: rows[k] for s, k in zip(sources, ids, strict=True) if k in rows}
    return Listing(samples, tuple(paths), tuple(notes), metadata)


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
        found = sorted((e.name, e.is_dir()) for e in entries)
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


def _read_csv(path: Path, id_column: str, *needed: str | None) -> Rows:
    """Returns the rows of a CSV by id."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = {id_column, *filter(None, needed)} - set(reader.fieldnames or ())
            if missing:
                raise UserError(
                    f"{path}: lacks the column {', '.join(sorted(missing))}; "
                    f"it has {', '.join(reader.fieldnames or ['none'])}"
                )
            rows: Rows = {}
            for row in reader:
                if row[id_column] in rows:
                    raise UserError(f"{path}, line {reader.line_num}: {row[id_column]} comes twice")
                rows[row[id_column]] = {k: v or "" for k, v in row.items() if k and k != id_column}
            return rows
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read as a CSV in UTF-8: {error}") from error

"""One folder of images per class, and a CSV that may add labels, lesions and metadata."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from melanoma_exp.data import class_names
from melanoma_exp.data.groups import image_id, is_isic_id
from melanoma_exp.data.layouts import ids
from melanoma_exp.data.layouts.columns import Columns
from melanoma_exp.data.layouts.folder_tree import Found, unwrap, walk
from melanoma_exp.data.layouts.image_files import LeftOut
from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.data.metadata import Table

LARGE_FOLDER = 50  # images; one patient or lesion is rarely photographed more often


def find(
    root: Path,
    columns: Columns,
    published: Mapping[str, Mapping[str, int]],
    max_pixels: int,
    group_folders: bool,
) -> Listing:
    """Lists the images of `root/<class>/` or `root/Train/<class>/`, `root/Val/` and `root/Test/`.

    Images may lie in folders within class folders. Where a column of labels is stated and no
    folder is named as one of them, folders are no classes: images are sought in all of them and the
    column alone labels them.

    Args:
        root: The folder.
        columns: The metadata CSV and its columns.
        published: Published counts by part and class, to note differences from.
        max_pixels: Larger images are not opened.
        group_folders: Whether a folder within a class folder holds a patient or a lesion.

    Raises:
        UserError: No class folders, an empty one, a CSV that is wrong or says nothing, or two
            pictures of one name.
    """
    columns.check()
    outer = root
    if columns.label is None:
        root = unwrap(root)
    table = columns.read(outer if columns.csv and (outer / columns.csv).exists() else root)
    left_out = LeftOut(root)
    found = walk(root, left_out, table.values(columns.label))
    left_out.entries.pop(columns.csv or "", None)
    paths = [one.path for one in found]
    sources = [path.relative_to(root).as_posix() for path in paths]
    rows = ids.tie(sources, table)
    ids.refuse_namesakes(rows, paths, root, table, max_pixels)
    notes = left_out.notes()
    if root != outer:
        notes.append(f"classes are sought in {root.relative_to(outer.parent).as_posix()}/")
    tying, said = _tying_folders(found) if group_folders else (set(), [])
    notes += said
    if columns.csv or not columns.required:
        notes += columns.notes(table, rows, sources)
        notes += table.without_file(rows)
        notes += _new_class_notes(table, columns.label, {one.label for one in found})
    labels = [
        table.get(row, columns.label) or one.label for row, one in zip(rows, found, strict=True)
    ]
    confirmed = columns.confirmed(table, rows, labels)
    patients = columns.patients(table, rows)
    listing = from_rows(
        [
            Row(
                path=one.path,
                source=source,
                label=label,
                lesion=table.get(row, columns.group),
                official=one.part,
                image_id=global_id(one.path.stem, row),
                metadata=table.rows.get(row, {}),
                confirmed=official,
                groups={
                    **({"folder": one.inner} if one.inner in tying else {}),
                    **({str(columns.patient): patients[row]} if row in patients else {}),
                },
            )
            for one, source, label, row, official in zip(
                found, sources, labels, rows, confirmed, strict=True
            )
        ],
        notes,
    )
    samples = listing.samples
    spelling = {class_names.key(name): name for name in samples.classes}
    expected = {
        part: {spelling.get(class_names.key(name), name): n for name, n in counts.items()}
        for part, counts in published.items()
    }
    names = [samples.classes[k] for k in samples.label.tolist()]
    counted = Counter(zip(samples.official.tolist(), names, strict=True))
    notes = [*listing.notes, *_count_notes(counted, expected)]
    return replace(listing, notes=tuple(notes), published=expected)


def global_id(stem: str, row: str) -> str:
    """Returns the id that names an image wherever it lies, "" where its name says nothing.

    Args:
        stem: Of its file. A name like `001` says nothing: another folder may have another image of
            that name.
        row: The id of its row in a table, "" for none.
    """
    isic = image_id(stem)
    return isic if is_isic_id(isic) else row


def _tying_folders(found: Sequence[Found]) -> tuple[set[str], list[str]]:
    """Returns which folders within class folders tie their images, and what to say of them.

    One that is alone in its class is no patient, nor is one of very many images.
    """
    held = Counter(one.inner for one in found if one.inner)
    within: dict[tuple[str, str], set[str]] = defaultdict(set)
    for one in found:
        within[one.part, one.label].add(one.inner)
    beside = {inner for inners in within.values() if len(inners) > 1 for inner in inners}
    tying = {inner for inner, n in held.items() if inner in beside and n <= LARGE_FOLDER}
    notes = []
    if tying:
        notes.append(
            f"images of one folder within a class folder stay together, as of one patient: "
            f"{len(tying)} folders, {sum(held[inner] for inner in tying)} images "
            "(dataset.group_folders=false if they are no patients)"
        )
    if others := [inner for inner in held if inner not in tying]:
        images = sum(held[inner] for inner in others)
        notes.append(
            f"folders within class folders that tie nothing: {len(others)}, {images} images"
        )
    return tying, notes


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
    """Returns a note on labels of the CSV that no folder has, where folders are classes."""
    known = set(map(class_names.key, folders))
    new = [
        f"{label} (last on line {table.lines[image]})"
        for label, image in sorted(table.values(column).items())
        if class_names.key(label) not in known
    ]
    return (
        [f"labels of {table.path.name} that no folder has: {', '.join(new)}"]
        if new and known != {""}
        else []
    )

"""Images that tables name, wherever they lie."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_exp.data.layouts import ids
from melanoma_exp.data.layouts.class_folders import global_id
from melanoma_exp.data.layouts.folder_tree import PARTS
from melanoma_exp.data.layouts.image_files import LeftOut, below
from melanoma_exp.data.layouts.labelled_rows import UNUSED, Asked, LabelledRows, read_all
from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.data.metadata import Table
from melanoma_exp.spec import UserError


def find(root: Path, asked: Asked, max_pixels: int) -> Listing:
    """Lists the images that have a row, wherever below `root` they lie.

    A row is one image: further files of it are left out. Where no table says so, folders called
    train, val or test say which part an image is of.

    Args:
        root: The folder.
        asked: Its tables and their columns.
        max_pixels: Larger images are not opened.

    Raises:
        UserError: A table is missing or wrong, no image of it is there, or two pictures have one
            name.
    """
    rows = read_all(root, asked)
    table = rows.table
    left_out = LeftOut(root)
    files = below(root, left_out)
    sources = [path.relative_to(root).as_posix() for path in files]
    tied = ids.tie(sources, table)
    ids.refuse_namesakes(tied, files, root, table, max_pixels)
    named: dict[str, list[Path]] = defaultdict(list)
    for path, row in zip(files, tied, strict=True):
        named[row].append(path)
    unnamed = named.pop("", [])
    if not named:
        raise UserError(
            f"{root}: holds none of the {len(table.rows)} images that {table.path.name} names; its "
            f"first is {next(iter(table.rows), 'none')!r}, the first file is "
            f"{(sources or ['none'])[0]!r}{_instead(left_out)}"
        )
    notes = [*left_out.notes(entries=False), *rows.notes, *table.without_file(named)]
    if unnamed:
        notes.append(
            f"{len(unnamed)} image files are not in {table.path.name} and were ignored "
            f"({_by_suffix(unnamed)}; first: {unnamed[0].relative_to(root).as_posix()})"
        )
    # Of the copies of an image the one whose name is the id's counts.
    chosen = {
        k: min(named[k], key=lambda p: (p.stem != ids.Name.of(k).stem, len(p.stem), p))
        for k in named
    }
    copies = sum(map(len, named.values())) - len(named)
    if copies:
        notes.append(f"{copies} further files of images that are there already were ignored")
    parts = rows.parts or {k: _part_of(path.relative_to(root)) for k, path in chosen.items()}
    unused = [image for image in named if parts[image] == UNUSED]
    if unused:
        notes.append(f"{len(unused)} images are in no official part and left out: {unused[0]}, ...")
    used = sorted(set(named).difference(unused))
    notes += _group_notes(table, rows.groups, used, asked)
    return from_rows([_row(rows, image, chosen[image], parts[image]) for image in used], notes)


def _row(rows: LabelledRows, image: str, path: Path, part: str) -> Row:
    label, cells = rows.labels[image], rows.table.rows[image]
    lesions = [column for column in rows.groups if names_lesion(column)]
    return Row(
        path=path,
        source=image,
        label=label,
        lesion=cells.get(lesions[0], "") if lesions else "",
        official=part,
        image_id=global_id(path.stem, image),
        metadata=cells,
        confirmed=(label,) * bool(label),
        groups={c: cells.get(c, "") for c in rows.groups if c not in lesions[:1]},
    )


def names_lesion(column: str) -> bool:
    """Whether a column that ties images names lesions, by its own name."""
    return "lesion" in column.casefold()


def _part_of(path: Path) -> str:
    """Returns the part that a folder above an image says, train where none does."""
    return next((PARTS[f.lower()] for f in path.parts[:-1] if f.lower() in PARTS), "train")


def _group_notes(
    table: Table, groups: Sequence[str], images: Sequence[str], asked: Asked
) -> list[str]:
    """Returns how many images each column ties, where it is not all.

    Raises:
        UserError: A column that the user named says nothing of any image.
    """
    known = {c: sum(bool(table.get(image, c)) for image in images) for c in groups}
    if empty := [c for c, n in known.items() if not n and not asked.lenient]:
        raise UserError(
            f"dataset.group_columns: {', '.join(empty)} is empty for all {len(images)} images in "
            f"{table.path.name}"
        )
    if not any(known.values()):
        named = ", ".join(asked.groups)
        why = f"no table has {named}" if named else "dataset.group_columns names no column"
        return [
            f"{why}: no lesions and no patients are known; images of one that look different may "
            "be on both sides of a split"
        ]
    some = [f"{c} for {n} of {len(images)}" for c, n in known.items() if n < len(images)]
    return [f"images are tied by {', '.join(some)}"] if some else []


def _by_suffix(paths: Sequence[Path]) -> str:
    counts: Mapping[str, int] = Counter(path.suffix.lower() for path in paths)
    return ", ".join(f"{n} {suffix}" for suffix, n in sorted(counts.items()))


def _instead(left_out: LeftOut) -> str:
    """Returns what was seen in place of images, for a message."""
    notes = left_out.notes(entries=False)
    return f" ({notes[0]})" if notes else ""

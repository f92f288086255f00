"""The rows of a dataset's tables: put together, and what they say of label and part."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_exp.data import class_names
from melanoma_exp.data.layouts import csv_text, table_file
from melanoma_exp.data.layouts.folder_tree import PARTS
from melanoma_exp.data.layouts.table_search import TablesBelow
from melanoma_exp.data.metadata import Table, read
from melanoma_exp.spec import UserError, did_you_mean

UNUSED = "unused"  # the part of rows that are in none
_MARKED = frozenset(("1", "x", "yes", "true"))
_UNMARKED = frozenset(("", "0", "no", "false"))


@dataclass(frozen=True)
class Asked:
    """What the tables of a dataset are asked for.

    Attributes:
        table: Names of the table that has a row for each image; the first that is there counts.
        joined: Names of tables that have further columns of these images; each may be absent.
        part_tables: By part the names of its tables: the first has a row for each image, others
            have further columns. Each may be absent.
        image: The column of image ids.
        label: The column of labels, None where `one_hot` has them.
        one_hot: Columns of which one is marked, the class of the image.
        label_map: By label the class that it is; None leaves its images out.
        classes: What classes there may be; none are all.
        groups: Columns that tie images; they may be absent where `lenient`.
        part: The column of official parts.
        row: The column by which `part_tables` name rows of the table, numbered from 0; None where
            they have ids.
        lenient: Whether `groups` are those of a published set, of which some releases lack one.
    """

    table: Sequence[str]
    joined: Sequence[str]
    part_tables: Mapping[Any, Sequence[str]]
    image: str
    label: str | None
    one_hot: Sequence[str]
    label_map: Mapping[str, str | None]
    classes: Sequence[str]
    groups: Sequence[str]
    part: str | None
    row: str | None
    lenient: bool


@dataclass(frozen=True)
class LabelledRows:
    """The rows, and what they say.

    Attributes:
        table: All rows.
        labels: By image id its class, "" where it has none.
        parts: By image id its part; nothing where no table says so.
        groups: The columns that tie images, of those that there are.
        notes: One sentence for each thing a reader should know.
    """

    table: Table
    labels: Mapping[str, str]
    parts: Mapping[str, str]
    groups: tuple[str, ...]
    notes: tuple[str, ...]


def read_all(root: Path, asked: Asked) -> LabelledRows:
    """Reads the tables of a dataset.

    Args:
        root: The folder.
        asked: What they are asked for.

    Raises:
        UserError: A table is missing or wrong, lacks a column, or has a label or part that means
            nothing; a line each.
    """
    below = TablesBelow(root)
    labelled = [asked.label] if asked.label is not None else list(asked.one_hot)
    table = read(below.get(asked.table), asked.image, *labelled, asked.part)
    notes = []
    for name in asked.joined:
        if (beside := below.find([name])) is None:
            notes.append(f"there is no {name} below {root.name}/: what it says is unknown")
        else:
            table = table.widened(read(beside, asked.image))
    parts: dict[str, str] = {}
    rows = list(table.rows)
    for part, names in asked.part_tables.items():
        found = [path for name in names if (path := below.find([name])) is not None]
        if asked.row is not None:
            for path in found:
                parts |= dict.fromkeys(_numbered(path, asked.row, rows), part)
        elif found:
            more = read(found[0], asked.image, *labelled)
            for path in found[1:]:
                more = more.widened(read(path, asked.image))
            table = table.lengthened(more)
            parts |= dict.fromkeys(more.rows, part)
    if parts:
        others = "train" if asked.row is None else UNUSED
        parts = {**dict.fromkeys(rows, others), **parts}
    if asked.part is not None:
        parts = _parts(table, asked.part)
    columns = table.columns
    missing = [column for column in asked.groups if column not in columns]
    if missing and not asked.lenient:
        raise UserError(
            f"dataset.group_columns: no table has a column {', '.join(missing)}; they have "
            f"{', '.join(columns)}{did_you_mean(missing[0], columns)}"
        )
    labels, left_out = _labels(table, asked)
    if left_out:
        listed = ", ".join(f"{n} {word}" for word, n in left_out.most_common())
        notes.append(f"dataset.label_map leaves out images that the tables name: {listed}")
    groups = tuple(column for column in asked.groups if column in columns)
    return LabelledRows(table, labels, parts, groups, tuple(notes))


def _numbered(path: Path, column: str, rows: Sequence[str]) -> list[str]:
    """Returns the rows that a table names by their numbers.

    Raises:
        UserError: A number is none, or no row has it; a line each.
    """
    found, problems = [], []
    for row in table_file.read(path, [column]):
        text = row.cells.get(column, "").strip()
        if text.isdecimal() and int(text) < len(rows):
            found.append(rows[int(text)])
        else:
            problems.append(
                f"{path}, line {row.line}: {column} is {text!r}, expected the number of a row, 0 "
                f"to {len(rows) - 1}"
            )
    csv_text.refuse(problems, path)
    return found


def _parts(table: Table, column: str) -> dict[str, str]:
    """Returns the part of each image by a column of them."""
    words = {**PARTS, UNUSED: UNUSED, "": UNUSED}
    found = {image: words.get(row[column].casefold()) for image, row in table.rows.items()}
    problems = [
        f"{table.place(image)}: {column} is {table.rows[image][column]!r}, expected train, val or "
        "test"
        for image, part in found.items()
        if part is None
    ]
    csv_text.refuse(problems, table.path)
    return {image: part for image, part in found.items() if part is not None}


def _labels(table: Table, asked: Asked) -> tuple[dict[str, str], Counter[str]]:
    """Returns the class of each image, and how many of which label `label_map` leaves out."""
    mapped = {class_names.key(name): to for name, to in asked.label_map.items()}
    spelling = {class_names.key(name): name for name in asked.classes}
    labels: dict[str, str] = {}
    left_out: Counter[str] = Counter()
    problems = []
    for image, row in table.rows.items():
        try:
            word = row[asked.label] if asked.label is not None else _marked(row, asked.one_hot)
        except ValueError as error:
            problems.append(f"{table.place(image)}: {error}")
            continue
        name = mapped.get(class_names.key(word), word)
        if name is None:
            left_out[word] += 1
            name = ""
        elif spelling:
            name = spelling.get(class_names.key(name), "")
            if not name:
                column = asked.label or "the label"
                problems.append(
                    f"{table.place(image)}: {column} is {word!r}, which is none of "
                    f"dataset.classes: {', '.join(asked.classes)}"
                    f"{did_you_mean(word, asked.classes)}"
                )
        labels[image] = name
    csv_text.refuse(problems, table.path)
    return labels, left_out


def _marked(row: Mapping[str, str], columns: Sequence[str]) -> str:
    """Returns the column of those given that is marked, "" where none is.

    Raises:
        ValueError: A cell is no mark, or several are marked.
    """
    marked = []
    for column in columns:
        text = row[column].casefold()
        if text.replace(".", "", 1).isdecimal() and float(text).is_integer():
            text = str(int(float(text)))
        if text in _MARKED:
            marked.append(column)
        elif text not in _UNMARKED:
            raise ValueError(f"{column} is {row[column]!r}, expected 1 or 0")
    if len(marked) > 1:
        raise ValueError(f"{' and '.join(marked)} are marked, expected one class")
    return marked[0] if marked else ""

"""Reads a metadata CSV: one row per image, found by the image's id. Errors name the line."""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data.cells import known
from melanoma_exp.spec import UserError, did_you_mean

SHOWN = 20  # errors of one file that are shown


@dataclass(frozen=True)
class Table:
    """The rows of a CSV.

    Attributes:
        path: The file.
        rows: By image id, the other columns; "" where the cell is empty or a word for unknown.
        lines: The line of each image id.
    """

    path: Path
    rows: Mapping[str, Mapping[str, str]]
    lines: Mapping[str, int]

    def get(self, image: str, column: str | None) -> str:
        """Returns a cell, "" where the image, the column or the value is missing."""
        return self.rows.get(image, {}).get(column or "", "")

    def without_file(self, images: Iterable[str]) -> list[str]:
        """Returns a note on rows that name none of the given images."""
        present = set(images)
        lost = [image for image in self.rows if image not in present]
        if not lost:
            return []
        first = f"first: {lost[0]}, line {self.lines[lost[0]]}"
        return [f"{len(lost)} images of {self.path.name} have no file ({first})"]

    def check(self, column: str, allowed: Iterable[str], where: str, needed: bool) -> None:
        """Refuses values that are not known.

        Args:
            column: Of labels.
            allowed: The values it may have.
            where: Says where they come from.
            needed: Whether an empty cell is a mistake too.

        Raises:
            UserError: A line for each, with its line number.
        """
        allowed = list(allowed)
        problems = [
            f"{self.path}, line {self.lines[image]}: {column} is {row[column]!r}, which is none of "
            f"{where} {', '.join(allowed)}{did_you_mean(row[column], allowed)}"
            for image, row in self.rows.items()
            if row[column] not in allowed and (row[column] or needed)
        ]
        _refuse(problems, self.path)


@dataclass(frozen=True)
class Columns:
    """What a metadata CSV is used for.

    Attributes:
        csv: Its path below the root, None for none.
        required: Whether it may be absent; then that is noted.
        image: Its column of image ids.
        label: Its column of labels that replace the folder's where not empty.
        group: Its column of groups (lesions).
        official: Its column of official labels.
        official_classes: For each official label the classes it may be under, its own name first.
    """

    csv: str | None
    required: bool
    image: str
    label: str | None
    group: str | None
    official: str | None
    official_classes: Mapping[str, tuple[str, ...]]

    def read(self, root: Path) -> Table:
        """Returns the CSV's rows; none where there is no CSV or it may be absent and is."""
        path = root / (self.csv or "")
        if self.csv is None or not (self.required or path.exists()):
            return Table(path, {}, {})
        table = read(path, self.image, self.label, self.group, self.official)
        if self.official:
            table.check(self.official, self.official_classes, "dataset.official_classes:", False)
        return table


def read(path: Path, id_column: str, *needed: str | None) -> Table:
    """Reads the file.

    Args:
        path: A CSV in UTF-8 with a heading.
        id_column: Its column of image ids.
        needed: Further columns it must have; None is no column.

    Raises:
        UserError: It cannot be read, lacks a column, or has rows without an id, with an id that an
            earlier row has, or with more cells than the heading; a line for each.
    """
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    missing = {id_column, *filter(None, needed)} - set(reader.fieldnames or ())
    if missing:
        raise UserError(
            f"{path}: lacks the column {', '.join(sorted(missing))}; "
            f"it has {', '.join(reader.fieldnames or ['none'])}"
        )
    rows: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    try:
        for row in reader:
            image, here = known(row[id_column]), f"{path}, line {reader.line_num}"
            if None in row:
                problems.append(f"{here}: has more cells than the heading")
            elif not image:
                problems.append(f"{here}: has no {id_column}")
            elif image in rows:
                problems.append(f"{here}: {image} comes twice, first on line {lines[image]}")
            else:
                rows[image] = {k: known(v) for k, v in row.items() if k != id_column}
                lines[image] = reader.line_num
    except csv.Error as error:
        problems.append(f"{path}, line {reader.line_num}: cannot be read as a CSV: {error}")
    _refuse(problems, path)
    return Table(path, rows, lines)


def _text(path: Path) -> str:
    content = b""
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise UserError(
            f"{path}, line {line}: is not in UTF-8 (byte 0x{content[error.start]:02x}); save the "
            "file as UTF-8"
        ) from error


def _refuse(problems: list[str], path: Path) -> None:
    if problems:
        more = len(problems) - SHOWN
        raise UserError(*problems[:SHOWN], *([f"{path}: {more} more like these"] * (more > 0)))

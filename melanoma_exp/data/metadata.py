"""The rows of a metadata table: one per image, found by the image's id. Errors name the line."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from melanoma_exp.data import class_names
from melanoma_exp.data.cells import known
from melanoma_exp.data.layouts import csv_text, table_file
from melanoma_exp.spec import did_you_mean


@dataclass(frozen=True)
class Table:
    """The rows of a table, or of several that were put together.

    Attributes:
        path: The file, the first one of several.
        rows: By image id, the other columns; "" where the cell is empty or a word for unknown.
        lines: The line of each image id.
        files: By image id the file of its line, where that is not `path`.
    """

    path: Path
    rows: Mapping[str, Mapping[str, str]]
    lines: Mapping[str, int]
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def columns(self) -> list[str]:
        """All columns but the id's, in the order of the first rows that have them."""
        return list(dict.fromkeys(column for row in self.rows.values() for column in row))

    def line(self, image: str) -> str:
        """Returns where a row is: `line 3`, and the file's name before it where not `path`."""
        file = f"{self.files[image].name}, " if image in self.files else ""
        return f"{file}line {self.lines[image]}"

    def place(self, image: str) -> str:
        """Returns where a row is, as errors begin: the path of its file and the line."""
        return f"{self.files.get(image, self.path)}, line {self.lines[image]}"

    def widened(self, other: "Table") -> "Table":
        """Returns these rows with the columns that another table has for them beside."""
        return replace(
            self, rows={i: {**other.rows.get(i, {}), **row} for i, row in self.rows.items()}
        )

    def lengthened(self, other: "Table") -> "Table":
        """Returns the rows of both.

        Raises:
            UserError: An image is in both; a line each.
        """
        csv_text.refuse(
            [
                f"{other.place(image)}: {image} comes twice, first in {self.place(image)}"
                for image in other.rows
                if image in self.rows
            ],
            other.path,
        )
        return replace(
            self,
            rows={**self.rows, **other.rows},
            lines={**self.lines, **other.lines},
            files={**self.files, **dict.fromkeys(other.rows, other.path), **other.files},
        )

    def get(self, image: str, column: str | None) -> str:
        """Returns a cell, "" where the image, the column or the value is missing."""
        return self.rows.get(image, {}).get(column or "", "")

    def values(self, column: str | None) -> dict[str, str]:
        """Returns the values of a column, each with the last image id that has it."""
        found = {self.get(image, column): image for image in self.rows}
        found.pop("", None)
        return found

    def without_file(self, images: Iterable[str]) -> list[str]:
        """Returns a note on rows that name none of the given images."""
        present = set(images)
        lost = [image for image in self.rows if image not in present]
        if not lost:
            return []
        first = f"first: {lost[0]}, {self.line(lost[0])}"
        return [f"{len(lost)} images of {self.path.name} have no file ({first})"]

    def spelled(self, column: str, allowed: Collection[str], where: str, needed: bool) -> "Table":
        """Returns the table with a column in the spelling of its allowed values.

        Args:
            column: Of labels.
            allowed: The values it may have; letter case, Unicode form and spaces may differ.
            where: Says where they come from.
            needed: Whether an empty cell is a mistake too.

        Raises:
            UserError: A line for each other value, with its line number.
        """
        spelling = {class_names.key(name): name for name in allowed}
        problems = [
            f"{self.place(image)}: {column} is {row[column]!r}, which is none of "
            f"{where} {', '.join(allowed)}{did_you_mean(row[column], allowed)}"
            for image, row in self.rows.items()
            if class_names.key(row[column]) not in spelling and (row[column] or needed)
        ]
        csv_text.refuse(problems, self.path)
        return replace(
            self,
            rows={
                image: {**row, column: spelling.get(class_names.key(row[column]), "")}
                for image, row in self.rows.items()
            },
        )


def read(path: Path, id_column: str, *needed: str | None) -> Table:
    """Reads the file.

    Args:
        path: A table, as `table_file.read` takes them.
        id_column: Its column of image ids.
        needed: Further columns it must have; None is no column.

    Raises:
        UserError: It cannot be read, lacks a column, or has rows without an id or with an id that
            an earlier row has; a line for each.
    """
    rows: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    problems: list[str] = []
    columns = [id_column, *filter(None, needed)]
    for row in table_file.read(path, columns):
        image, here = row.cells.pop(id_column, "").strip(), f"{path}, line {row.line}"
        if not image:
            problems.append(f"{here}: has no {id_column}")
        elif image in rows:
            problems.append(f"{here}: {image} comes twice, first on line {lines[image]}")
        else:
            rows[image] = {
                **dict.fromkeys(columns[1:], ""),
                **{column: known(cell) for column, cell in row.cells.items() if column},
            }
            lines[image] = row.line
    csv_text.refuse(problems, path)
    return Table(path, rows, lines)

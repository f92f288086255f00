"""What a metadata CSV is asked for, and whether it could give it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data import class_names
from melanoma_exp.data.layouts import table_file
from melanoma_exp.data.metadata import Table, read
from melanoma_exp.spec import UserError

USUAL_ID = "image_id"  # of conf/dataset, stated by nobody


@dataclass(frozen=True)
class Columns:
    """What a metadata CSV is used for.

    Attributes:
        csv: Its path below the root, None for none.
        required: Whether it may be absent; then that is noted.
        image: Its column of image ids.
        label: Its column of labels that replace the folder's where not empty.
        group: Its column of groups (lesions).
        patient: Its column of patients, who tie images too; it may be absent where the CSV may.
        official: Its column of official labels.
        official_classes: For each official label the classes it may be under, its own name first.
    """

    csv: str | None
    required: bool
    image: str
    label: str | None
    group: str | None
    patient: str | None
    official: str | None
    official_classes: Mapping[str, tuple[str, ...]]

    @property
    def stated(self) -> dict[str, str]:
        """By key the columns that images get something from."""
        given = {
            "label_column": self.label,
            "group_column": self.group,
            "official_column": self.official,
            "patient_column": self.patient if self.required else None,
        }
        return {key: column for key, column in given.items() if column is not None}

    def check(self) -> None:
        """Refuses columns of no CSV or of ids, and what is said of a column that is not named.

        Raises:
            UserError: There are such; a line each.
        """
        if self.required and self.official is None and self.official_classes:
            raise UserError(
                "dataset.official_classes: says what a column means and dataset.official_column "
                "names none"
            )
        ids = {"id_column": self.image} if self.image != USUAL_ID else {}
        stated = {**ids, **self.stated}
        if self.csv is None and self.required and stated:
            raise UserError(
                *(
                    f"dataset.{key}={column}: is a column of a CSV and dataset.csv names none; "
                    "pass dataset.csv=FILE, a path below dataset.root"
                    for key, column in stated.items()
                )
            )
        if same := [key for key, column in self.stated.items() if column == self.image]:
            raise UserError(
                *(
                    f"dataset.{key}={self.image}: is the column of image ids, unlike for every "
                    "image; name another one"
                    for key in same
                )
            )

    def read(self, root: Path) -> Table:
        """Returns the CSV's rows; none where there is no CSV or it may be absent and is.

        Raises:
            UserError: It cannot be read, lacks a column or has no rows.
        """
        path = root / Path(self.csv or "").expanduser()
        if self.csv is None or not (self.required or path.exists()):
            return Table(path, {}, {})
        if not path.exists() and Path(self.csv).exists():
            raise UserError(
                f"dataset.csv={self.csv}: is looked for below dataset.root and there is no {path}; "
                f"name it by its absolute path, {Path(self.csv).absolute()}"
            )
        table = read(path, self.image, *self.stated.values())
        if not table.rows:
            raise UserError(f"{path}: has a heading and no rows")
        if self.official:
            where = "dataset.official_classes:"
            table = table.spelled(self.official, list(self.official_classes), where, False)
        return table

    def notes(self, table: Table, rows: Sequence[str], sources: Sequence[str]) -> list[str]:
        """Returns how many images the CSV says something about, where it is not all.

        Args:
            table: The CSV.
            rows: The row of each image, "" for none.
            sources: Name of each image.

        Raises:
            UserError: A column is stated and has no value for any image, or the CSV names none; a
                line each.
        """
        if not table.rows:
            absent = f"{self.csv} is not in {table.path.parent}" if self.csv else "no CSV is named"
            return [
                f"{absent}: no official labels and no lesions are known; images of one lesion that "
                "look different may be on both sides of a split"
            ] * (not self.required)
        name, total = table.path.name, len(rows)
        unnamed = [source for source, row in zip(sources, rows, strict=True) if not row]
        if len(unnamed) == total:
            raise UserError(
                f"dataset.csv={self.csv}: its column {self.image} names none of the {total} "
                f"images: it has {next(iter(table.rows))!r}, the first image is {sources[0]!r}"
            )
        known = {key: sum(bool(table.get(r, c)) for r in rows) for key, c in self.stated.items()}
        if empty := [key for key, n in known.items() if not n]:
            raise UserError(
                *(
                    f"dataset.{key}={self.stated[key]}: the column is empty for all {total} "
                    f"images in {name}"
                    for key in empty
                )
            )
        notes = []
        if self.patient and not self.required and (n := len(self.patients(table, rows))):
            notes.append(f"images of one patient stay together, by {self.patient}: known for {n}")
        if unnamed:
            notes.append(
                f"{len(unnamed)} of {total} images are not in {name} (first: {unnamed[0]})"
            )
        notes += [
            f"dataset.{key}={self.stated[key]}: known for {n} of {total} images"
            for key, n in known.items()
            if n < total - len(unnamed)
        ]
        if self.group:
            groups = Counter(filter(None, (table.get(row, self.group) for row in rows)))
            if len(groups) == groups.total():
                notes.append(
                    f"dataset.group_column={self.group}: no two images share a value, so it keeps "
                    "none together"
                )
        return notes

    def patients(self, table: Table, rows: Sequence[str]) -> dict[str, str]:
        """Returns by row its patient, of those that are known.

        Args:
            table: The CSV.
            rows: The row of each image, "" for none.
        """
        return {row: patient for row in rows if (patient := table.get(row, self.patient))}

    def confirmed(
        self, table: Table, rows: Sequence[str], classes: Sequence[str]
    ) -> list[tuple[str, ...]]:
        """Returns for each image the classes its official label may be under, as they are spelled.

        Args:
            table: The CSV.
            rows: The row of each image, "" for none.
            classes: Of the images.
        """
        spelling = {class_names.key(name): name for name in classes}
        names = {
            official: tuple(spelling.get(class_names.key(name), name) for name in under)
            for official, under in self.official_classes.items()
        }
        return [names.get(table.get(row, self.official), ()) for row in rows]


def tables_beside(root: Path, csv: str | None) -> str:
    """Returns how to name a table of labels that lies in a folder, "" where there is none.

    Args:
        root: The folder.
        csv: The table that is named already, None for none.
    """
    kinds = (".csv", ".tsv", ".xlsx", ".parquet")
    found = (
        [root / csv] if csv else [path for kind in kinds for path in sorted(root.glob(f"*{kind}"))]
    )
    if not found:
        return ""
    columns = ", ".join(filter(None, table_file.headings(found[0]))) or "none that can be read"
    named = "" if csv else f"dataset.csv={found[0].name} dataset.id_column=COLUMN "
    return (
        f"if {found[0].name} has a column of class names, name it: {named}"
        f"dataset.label_column=COLUMN (its columns are {columns[:200]})"
    )

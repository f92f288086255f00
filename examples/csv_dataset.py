"""Images that a CSV lists, as an option of the group `dataset`.

Try it: `melanoma-exp extend=examples/csv_dataset.py dataset=csv dataset.root=DIR`
"""

import csv
from pathlib import Path
from typing import Literal

from melanoma_exp.data.datasets.base import FolderDataset
from melanoma_exp.data.listing import Listing, Row, from_rows
from melanoma_exp.spec import UserError


class Csv(FolderDataset):
    """A CSV with the columns `path` (below `root`), `label` and, if known, `lesion`.

    Images of one lesion stay on one side of a split. Further columns (age, sex, site, ...) are
    metadata that subgroups are formed by.

    Attributes:
        csv: Path of the CSV below `root`.
    """

    kind: Literal["csv"]
    csv: str

    def find(self, cache: Path) -> Listing:
        """Returns the listed images, nothing decoded yet."""
        root = self.folder()
        table = root / self.csv
        if not table.is_file():
            raise UserError(f"dataset.csv: there is no file {table}; {self.how_to_get()}")
        with table.open(newline="", encoding="utf-8-sig") as file:
            entries = list(csv.DictReader(file))
        problems = [
            f"{table}, line {line}: {problem}"
            for line, entry in enumerate(entries, 2)
            if (problem := _problem(root, entry))
        ]
        if problems:
            raise UserError(*problems[:20])
        return from_rows([_row(root, entry) for entry in entries])

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        return "pass dataset.root=FOLDER, which holds the CSV and the images that it lists"


def _problem(root: Path, entry: dict[str, str]) -> str:
    if not entry.get("path") or not entry.get("label"):
        return "expected a value in the columns path and label"
    return "" if (root / entry["path"]).is_file() else f"there is no file {entry['path']}"


def _row(root: Path, entry: dict[str, str]) -> Row:
    known = ("path", "label", "lesion")
    return Row(
        path=root / entry["path"],
        source=entry["path"],
        label=entry["label"],
        lesion=entry.get("lesion") or "",
        metadata={k: v for k, v in entry.items() if k not in known and v},
    )

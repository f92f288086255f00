"""Reads a table whatever it was saved as: CSV and its kin, an Excel workbook, Parquet, PH2's text.

The content decides, not the suffix. Every cell is text: a number without decimals is written
without them, an empty cell is "".
"""

import datetime
import io
import zipfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from melanoma_exp.data.layouts import csv_text, ph2_text
from melanoma_exp.data.layouts.csv_text import MOST, CsvRow
from melanoma_exp.spec import UserError
from melanoma_exp.system import files

# What tables are saved as; a name without a suffix may be one too.
SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".xlsx", ".parquet")
_KINDS = {"xlsx": "an Excel workbook", "parquet": "a Parquet file"}
Cells = Sequence[Any]


def read(path: Path, needed: Collection[str]) -> list[CsvRow]:
    """Reads all rows of a table; those without any text are left out.

    Args:
        path: A CSV as `csv_text.read` takes it, a workbook of Excel, a Parquet file or the text of
            PH2. In a workbook the first sheet that has the needed columns counts, and its heading
            may stand below a title.
        needed: Columns it must have.

    Raises:
        UserError: As of `csv_text.read`, or a library that reads the file is not installed.
    """
    kind = _kind(path)
    if kind == "csv":
        return csv_text.read(path, needed)
    if kind == "ph2":
        csv_text.check_heading(path, list(ph2_text.COLUMNS), needed)
        return ph2_text.read(path)
    sheets = [list(sheet) for sheet in _sheets(path, kind)]
    found = [_heading(sheet, needed) for sheet in sheets]
    best = max(range(len(sheets)), key=lambda k: len(set(needed) & set(found[k][1])), default=None)
    if best is None:
        raise UserError(f"{path}: holds no table")
    above, heading = found[best]
    csv_text.check_heading(path, heading, needed)
    return [
        CsvRow(line, {c: text for c, text in zip(heading, cells, strict=False) if c})
        for line, cells in enumerate(map(_texts, sheets[best]), 1)
        if line > above and any(cells)
    ]


def headings(path: Path) -> list[str]:
    """Returns the columns of a table; none where it is not one."""
    try:
        if (kind := _kind(path)) == "csv":
            return csv_text.headings(path)
        if kind == "ph2":
            return list(ph2_text.COLUMNS)
        return next((_heading(list(sheet), ())[1] for sheet in _sheets(path, kind)), [])
    except UserError:
        return []


def _kind(path: Path) -> str:
    """Returns what a file is by its content: csv, parquet, ph2 or xlsx."""
    try:
        with files.open_file(path) as file:
            start = file.read(4)
            if start == b"PK\x03\x04" and any("xl/workbook" in n for n in _names(file)):
                return "xlsx"
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if start.startswith(ph2_text.START):
        return "ph2"
    return "parquet" if start == b"PAR1" else "csv"


def _names(file: Any) -> list[str]:
    try:
        return zipfile.ZipFile(file).namelist()
    except zipfile.BadZipFile:
        return []


def _sheets(path: Path, kind: str) -> Iterator[Iterable[Cells]]:
    """Gives the rows of each sheet.

    Raises:
        UserError: The file is damaged, or the library that reads it is not installed.
    """
    content = io.BytesIO(files.read_named(path, MOST))
    try:
        if kind == "xlsx":
            from openpyxl import load_workbook

            # Not read-only: that trusts the size that a sheet states of itself, which may be wrong.
            for sheet in load_workbook(content, data_only=True).worksheets:
                yield sheet.iter_rows(values_only=True)
        else:
            import pyarrow.parquet

            table = pyarrow.parquet.read_table(content)
            columns = [column.to_pylist() for column in table.columns]
            yield [table.column_names, *zip(*columns, strict=True)]
    except ImportError as error:
        raise UserError(
            f"{path}: the library that reads {_KINDS[kind]} is not installed: pip install "
            "'melanoma_exp[tables]', or save the table as CSV"
        ) from error
    except Exception as error:  # a damaged file can make a reader raise anything
        why = " ".join(str(error).split())
        raise UserError(f"{path}: {_KINDS[kind]} that cannot be read: {why}") from error


def _heading(rows: Sequence[Cells], needed: Collection[str]) -> tuple[int, list[str]]:
    """Returns the number of the first row that has the needed columns, from 1, and its cells.

    Where none has them all it is the first row with text.
    """
    first = (0, list[str]())
    for line, cells in enumerate(rows, 1):
        texts = _texts(cells)
        if any(texts) and not first[1]:
            first = (line, texts)
        if any(texts) and set(needed) <= set(texts):
            return line, texts
    return first


def _texts(cells: Cells) -> list[str]:
    return [_text(cell) for cell in cells]


def _text(cell: Any) -> str:
    """Returns a cell as a CSV would have it."""
    if cell is None or cell != cell:  # NaN is not itself
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    return " ".join(str(cell).split())

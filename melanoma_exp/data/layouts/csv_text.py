"""Reads a CSV that people made: its separator, encoding and empty rows. Errors name the line."""

import csv
import io
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system import files

SEPARATORS = (",", ";", "\t", "|")
MOST = 2**30  # bytes of a CSV
SHOWN = 20  # errors of one file that are shown
_STATED = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)  # a first line that Excel reads and writes
# How other files begin, what they are and what to do.
_OTHERS = (
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)", "save it as .xlsx or CSV"),
    (b"\x1f\x8b", "compressed", "unpack it"),
    (b"PAR1", "a Parquet file", "save it as CSV"),
    (b"SQLite format 3", "a SQLite database", "save the table as CSV"),
    (b"%PDF", "a PDF", "save the table as CSV"),
)
_IN_ZIP = (  # what a zip archive holds, likewise
    (b"xl/workbook", "an Excel workbook", "save it as CSV"),
    (b"opendocument.spreadsheet", "an OpenDocument spreadsheet", "save it as CSV"),
    (b"PK", "a zip archive", "unpack it"),
)


@dataclass(frozen=True)
class CsvRow:
    """One row: its line in the file, and its cells by column; a row that ends early lacks some."""

    line: int
    cells: dict[str, str]


def read(path: Path, needed: Collection[str]) -> list[CsvRow]:
    """Reads all rows of a CSV.

    The separator is a comma, semicolon, tab or bar, whichever gives the needed columns. Rows
    without any text are left out.

    Args:
        path: A file with a heading, in UTF-8, or in UTF-16 with its mark.
        needed: Columns it must have.

    Raises:
        UserError: It cannot be read, is another kind of file, lacks a column or has one twice, a
            quotation mark is never closed, or rows have more cells than the heading; a line each.
    """
    text = _text(path)
    stated = _STATED.match(text)
    body = text[stated.end() :] if stated else text
    separator = stated.group(1) if stated else _separator(body, needed)
    heading = _heading(body, separator)
    check_heading(path, heading, needed)
    rows: list[CsvRow] = []
    problems: list[str] = []
    start = before = 0  # the lines that the last row begins on, and the one before it ends on
    reader = _reader(body, separator)
    try:
        next(reader, None)
        before = reader.line_num
        for cells in reader:
            line = reader.line_num + bool(stated)
            start, before = before + 1, reader.line_num
            if any(cell.strip() for cell in cells[len(heading) :]):
                problems.append(f"{path}, line {line}: has more cells than the heading")
            elif any(cell.strip() for cell in cells):
                rows.append(CsvRow(line, dict(zip(heading, cells, strict=False))))
        if start < before and body.count('"') % 2:
            problems.append(
                f"{path}, line {start + bool(stated)}: has a quotation mark that is never closed, "
                "so the rows after it are lost; close or remove it"
            )
    except csv.Error as error:
        problems.append(f"{path}, line {reader.line_num}: cannot be read as a CSV: {error}")
    refuse(problems, path)
    return rows


def refuse(problems: list[str], path: Path) -> None:
    """Raises a UserError with the problems of a file, up to a limit; nothing without any."""
    if problems:
        more = len(problems) - SHOWN
        raise UserError(*problems[:SHOWN], *([f"{path}: {more} more like these"] * (more > 0)))


def headings(path: Path) -> list[str]:
    """Returns the columns of a CSV; none where it is not one."""
    try:
        text = _text(path)
    except UserError:
        return []
    return _heading(text, _separator(text, ()))


def _reader(text: str, separator: str) -> Any:
    # A space after the separator is no part of the cell, and what follows it may be quoted.
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True)


def _heading(text: str, separator: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(_reader(text, separator), [])]
    except csv.Error:
        return []


def _separator(text: str, needed: Collection[str]) -> str:
    """Returns the first separator that gives the needed columns, else that of most columns."""
    found = {separator: _heading(text, separator) for separator in SEPARATORS}
    fitting = [s for s, heading in found.items() if set(needed) <= set(heading)]
    return max(fitting or SEPARATORS, key=lambda s: len(found[s]))


def check_heading(path: Path, heading: list[str], needed: Collection[str]) -> None:
    """Refuses a heading that lacks a needed column or has one twice.

    Raises:
        UserError: It does, with the columns that there are.
    """
    missing = sorted(set(needed) - set(heading))
    if missing:
        what = " in place of a heading" if any(len(cell) > 200 for cell in heading) else ""
        shown = ", ".join(filter(None, heading)) or "none"
        raise UserError(
            f"{path}: lacks the column {', '.join(missing)}; it has {shown[:300]}{what}"
            + did_you_mean(missing[0], heading)
        )
    twice = sorted(name for name in set(needed) if heading.count(name) > 1)
    if twice:
        raise UserError(f"{path}: has the column {', '.join(twice)} twice; rename one of them")


def _text(path: Path) -> str:
    content = files.read_named(path, MOST)
    kinds = [kind for kind in _OTHERS if content.startswith(kind[0])]
    if content.startswith(b"PK\x03\x04"):
        kinds += [kind for kind in _IN_ZIP if kind[0] in content]
    for _, what, advice in kinds:
        raise UserError(f"{path}: is {what}, not a CSV: {advice} and name that file")
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    if b"\0" in content[:1000]:
        raise UserError(f"{path}: is not text in UTF-8; save the file as CSV in UTF-8")
    return files.decoded(content, path)

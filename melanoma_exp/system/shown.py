"""Text from outside as it is shown: names of files and classes may hold anything.

On a screen they could move the cursor and hide or forge lines, in a spreadsheet be formulas, in
Markdown be HTML. Pages are escaped by their templates, see `system.html`.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator
from typing import IO, Any

from rich.markup import escape as escape_markup

# Control characters, those that turn the direction of writing, and bytes that are no UTF-8.
_INVISIBLE = "\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff"
_CONTROL = re.compile(f"[{_INVISIBLE}]")
_NOT_IN_A_LINE = re.compile(f"[{_INVISIBLE}\t\n\u2028\u2029]")
_FORMULA = re.compile(r"'*[=+\-@\t\r].")


def printable(text: object) -> str:
    r"""Returns text as one line that shows what it holds: `\x1b` for a control character."""
    return _NOT_IN_A_LINE.sub(_code, str(text))


def without_control(text: str) -> str:
    """Returns text of several lines with a question mark for each control character."""
    return _CONTROL.sub("\ufffd", text)


def escape(text: object) -> str:
    """Returns text to print within Rich's markup."""
    return escape_markup(printable(text))


def markdown(text: object) -> str:
    """Returns text to print within Markdown, without HTML, links and pictures of its own."""
    return printable(text).replace("<", "&lt;").replace("![", "!\\[").replace("](", "]\\(")


def cell(value: Any) -> Any:
    """Returns a value for a table: a text that a spreadsheet would take for a formula is quoted.

    Numbers stay as they are. `from_cell` takes the quote away.
    """
    if not isinstance(value, str):
        return value if isinstance(value, int | float) or value is None else cell(str(value))
    text = printable(value)
    return f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text


def from_cell(text: Any) -> Any:
    """Returns what `cell` was given, but for characters that cannot be printed."""
    quoted = isinstance(text, str) and text.startswith("'") and _FORMULA.match(text)
    return text[1:] if quoted else text


def file_size(count: int) -> str:
    """Returns a number of bytes for people to read: `3.4 GiB`."""
    value, units = float(count), ["B", "KiB", "MiB", "GiB", "TiB"]
    while value >= 1000 and len(units) > 1:
        value /= 1024
        units.pop(0)
    decimals = 0 if units[0] == "B" or value >= 100 else 1
    return f"{value:.{decimals}f} {units[0]}"


class TableWriter:
    """Writes CSV of cells."""

    def __init__(self, file: IO[str]) -> None:
        """Writes to an open file."""
        self._writer = csv.writer(file, lineterminator="\n")

    def writerow(self, row: Iterable[Any]) -> None:
        """Writes a row."""
        self._writer.writerow([cell(value) for value in row])

    def writerows(self, rows: Iterable[Iterable[Any]]) -> None:
        """Writes rows."""
        for row in rows:
            self.writerow(row)


def rows(text: str) -> Iterator[list[str]]:
    """Reads CSV that `TableWriter` wrote.

    Raises:
        csv.Error: It is none.
    """
    for row in csv.reader(io.StringIO(text, newline="")):
        yield [from_cell(value) for value in row]


def records(text: str) -> Iterator[dict[str, str]]:
    """Reads CSV that `TableWriter` wrote, by the names in its first row; errors as of `rows`."""
    for row in csv.DictReader(io.StringIO(text, newline="")):
        yield {name: from_cell(value) for name, value in row.items()}


def _code(found: re.Match[str]) -> str:
    return found.group().encode("unicode_escape", "surrogatepass").decode()


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True

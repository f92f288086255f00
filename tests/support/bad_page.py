"""The tables of docs/bad-inputs.md: what is given, and what is said of it."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "bad-inputs.md"


def _sections() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            found[line[3:]] = {}
        elif row := re.fullmatch(r"\| (.+?) \| `+ ?(.+?) ?`+ \|", line):
            name, said = (cell.replace("\\|", "|") for cell in row.groups())
            assert name not in found[list(found)[-1]], f"{name} comes twice"
            found[list(found)[-1]][name] = said
    return {name: rows for name, rows in found.items() if rows}


SECTIONS = _sections()


def agrees(section: dict[str, str], name: str, said: str) -> None:
    """Checks what is said of a bad input against the page, where `…` stands for anything."""
    assert name in section, f"docs/bad-inputs.md has no row: {row(name, said)}"
    pattern = ".*".join(map(re.escape, section[name].split("…")))
    assert re.fullmatch(pattern, said), f"docs/bad-inputs.md should say: {row(name, said)}"


def row(name: str, said: str) -> str:
    """Returns the row of the page."""
    quote = "``" if "`" in said else "`"
    space = " " if "`" in said else ""
    cells = (name.replace("|", "\\|"), said.replace("|", "\\|"))
    return f"| {cells[0]} | {quote}{space}{cells[1]}{space}{quote} |"

"""What the cells of a table say: text without margins, and nothing where a word means unknown."""

import unicodedata

# As pandas, R, spreadsheets and the ISIC archive write a missing value, in lower case. Not `unk`:
# that is a class of ISIC 2019 (none of the others).
_UNKNOWN = frozenset(
    (
        *("na", "n/a", "n.a.", "n.a", "<na>", "#n/a", "#na", "nan", "nat", "none", "null", "nil"),
        *("unknown", "not known", "unspecified", "not specified", "undefined", "missing"),
        *("not available", "not applicable", "no data"),
        *("#ref!", "#value!", "#div/0!", "#name?", "#null!", "#num!"),  # errors of a spreadsheet
    )
)
_PLACEHOLDERS = frozenset("-‐‑‒–—−_?.…*/ ")  # a cell of these alone, such as `--` or `?`


def known(cell: str | None) -> str:
    """Returns a cell's text without margins, "" where it is empty or a word for unknown.

    The words are NA, nan, None, null, unknown, -, ? and their like, in any letter case. Groups,
    labels and metadata read their cells with this alone.

    Args:
        cell: As the file has it; None where the row ends before it.
    """
    text = unicodedata.normalize("NFKC", cell or "").casefold().strip()
    if text in _UNKNOWN or _PLACEHOLDERS.issuperset(text):
        return ""
    return (cell or "").strip()


def is_unknown(cell: str | None) -> bool:
    """Whether a cell says nothing: it is empty or a word for unknown."""
    return not known(cell)

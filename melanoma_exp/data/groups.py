"""Which images belong together and so must stay on one side of every split."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

_ISIC = re.compile(r"ISIC_\d{7}")


def image_id(stem: str) -> str:
    """Returns the image's id from a file name without suffix.

    ISIC ids are found inside longer names, so that `ISIC_0025509(1)` and
    `nevus_original_ISIC_0025509` count as the same image; other names are their own id.
    """
    match = _ISIC.search(stem)
    return match.group() if match else stem


def is_isic_id(name: str) -> bool:
    """Whether a name is an ISIC id, which names one image wherever it is."""
    return _ISIC.fullmatch(name) is not None


def unite(keys: Iterable[Sequence[str]], links: np.ndarray | None = None) -> np.ndarray:
    """Joins rows that share any key or are linked, directly or through others.

    Args:
        keys: Columns of equal length n; an empty string is an unknown key and joins nothing.
        links: int (m, 2), pairs of rows to join.

    Returns:
        str (n,), the group's name: its first row's key in the first column that has one.
    """
    columns = [list(column) for column in keys]
    parent = list(range(len(columns[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    def join(row: int, other: int) -> None:
        a, b = sorted((root(row), root(other)))
        parent[b] = a

    for column in columns:
        first: dict[str, int] = {}
        for row, key in enumerate(column):
            if key:
                join(row, first.setdefault(key, row))
    for row, other in [] if links is None else links.tolist():
        join(row, other)
    names = [
        next(filter(None, (column[row] for column in columns)), str(row))
        for row in range(len(parent))
    ]
    return np.array([names[root(row)] for row in range(len(parent))], dtype=str)

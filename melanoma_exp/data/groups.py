"""Which images belong together and so must stay on one side of every split."""

import itertools
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np

SameLesion = Literal["off", "review", "sure"]  # not looked for, for review alone, as groups
_ISIC = re.compile(r"ISIC_\d{7}(?!\d)", re.IGNORECASE)


def image_id(stem: str) -> str:
    """Returns the image's id from a file name without suffix.

    ISIC ids are found inside longer names, so that `ISIC_0025509(1)` and
    `nevus_original_ISIC_0025509` count as the same image; letter case makes no difference. Other
    names are their own id.
    """
    match = _ISIC.search(stem)
    return match.group().upper() if match else stem


def is_isic_id(name: str) -> bool:
    """Whether a name is an ISIC id, which names one image wherever it is."""
    return _ISIC.fullmatch(name) is not None


def unite(keys: Iterable[Sequence[str]], links: np.ndarray | None = None) -> np.ndarray:
    """Joins rows that share any key or are linked, directly or through others.

    Args:
        keys: Columns of equal length n; an empty string is an unknown key and joins nothing.
        links: int (m, 2), pairs of rows to join.

    Returns:
        str (n,), the group's name: its first row's key in the first column that has one. Where
        that is the name of an earlier group too (lesion 7 and patient 7), ` (2)` and so on follows.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    columns = [np.array(list(column), dtype=str) for column in keys]
    edges = [] if links is None else [links.reshape(-1, 2)]
    for column in columns:
        known = np.flatnonzero(column != "")
        _, first, key = np.unique(column[known], return_index=True, return_inverse=True)
        edges.append(np.stack([known, known[first[key]]], axis=1))
    ends, n = np.concatenate(edges).T, len(columns[0])
    _, group = connected_components(coo_array((np.ones(ends.shape[1]), ends), (n, n)), False)
    _, first = np.unique(group, return_index=True)
    names = np.arange(n).astype(str)
    for column in reversed(columns):
        names = np.where(column != "", column, names)
    return _told_apart(names[first])[group]


def _told_apart(names: np.ndarray) -> np.ndarray:
    """Returns names of which no two are equal, str (n,)."""
    given: list[str] = names.tolist()
    taken, seen = set(given), set[str]()
    if len(taken) == len(given):
        return names
    for k, name in enumerate(given):
        if name in seen:
            given[k] = next(n for i in itertools.count(2) if (n := f"{name} ({i})") not in taken)
        taken.add(given[k])
        seen.add(given[k])
    return np.array(given, dtype=str)

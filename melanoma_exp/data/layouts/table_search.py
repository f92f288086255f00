"""Finds a dataset's tables by name, wherever below its folder they lie."""

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

from melanoma_exp.data.layouts import table_file
from melanoma_exp.data.layouts.csv_text import MOST
from melanoma_exp.data.layouts.image_files import is_passed_over
from melanoma_exp.spec import UserError
from melanoma_exp.system.files import read_named

SHOWN = 5  # tables that a message lists


class TablesBelow:
    """The files in a folder and below that may be tables."""

    def __init__(self, root: Path) -> None:
        """Lists them.

        Args:
            root: The folder.
        """
        self._root = root
        self._paths: dict[str, list[Path]] = defaultdict(list)  # by name in lower case
        for place, folders, names in os.walk(root):
            # A folder called like a mask may hold a table: ISIC2018_Task3_Training_GroundTruth.
            folders[:] = sorted(name for name in folders if not is_passed_over(name))
            for name in names:
                table = name.lower().endswith(table_file.SUFFIXES) or "." not in name
                if table and not name.startswith("."):
                    self._paths[name.lower()].append(Path(place) / name)

    def find(self, names: Sequence[str]) -> Path | None:
        """Returns the first of the named tables that is there, None where none is.

        Each is sought by its path, then by its name in any folder, then by its name with another
        suffix of tables: one release has `.csv`, another `.tab`.

        Raises:
            UserError: Two different files have the name.
        """
        for name in names:
            if (path := self._root / Path(name).expanduser()).is_file():
                return path
        for name in names:
            for wanted in _spellings(PurePath(name)):
                if wanted.lower() in self._paths:
                    return _only(self._paths[wanted.lower()])
        return None

    def get(self, names: Sequence[str]) -> Path:
        """Returns the first of the named tables that is there.

        Raises:
            UserError: None is, or two different files have the name.
        """
        if (path := self.find(names)) is not None:
            return path
        for name in names:
            if Path(name).exists():
                raise UserError(
                    f"dataset.table={name}: is looked for below dataset.root and there is no "
                    f"{self._root / name}; name it by its absolute path, {Path(name).absolute()}"
                )
        others = sorted(
            path.relative_to(self._root).as_posix()
            for same in self._paths.values()
            for path in same
        )
        advice = f"it has {', '.join(others[:SHOWN])}: name one, dataset.table=FILE"
        raise UserError(
            f"{self._root}: there is no table {' or '.join(names)} in it or below; "
            + (advice if others else "is it the folder of the unpacked dataset?")
        )


def _spellings(name: PurePath) -> Iterator[str]:
    yield name.name
    yield from (f"{name.stem}{suffix}" for suffix in (*table_file.SUFFIXES, ""))


def _only(same: Sequence[Path]) -> Path:
    """Returns the nearest of files of one name, which must all be the same."""
    first, *others = sorted(same, key=lambda path: (len(path.parts), path))
    for other in others:
        same_size = first.stat().st_size == other.stat().st_size
        if not same_size or read_named(first, MOST) != read_named(other, MOST):
            raise UserError(
                f"{first} and {other} are different tables of one name: name one of them by its "
                "path below dataset.root, dataset.table=FILE"
            )
    return first

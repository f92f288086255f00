"""Finds the image files that the paths of a command line name."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from melanoma_exp.data.layouts import csv_text
from melanoma_exp.data.layouts.image_files import SUFFIXES, names_mask
from melanoma_exp.spec import UserError


@dataclass(frozen=True)
class Sources:
    """What was found.

    Attributes:
        files: Each once, in the order of the paths; files of a folder by name.
        absent: Named on the command line or in a CSV, but missing.
        ignored: Files in folders that are not images by their suffix.
        masks: Of the files, those in folders whose names say masks or segmentations.
    """

    files: tuple[Path, ...]
    absent: tuple[Path, ...]
    ignored: int
    masks: tuple[Path, ...] = ()


def find(paths: Sequence[Path]) -> Sources:
    """Finds the images: files, folders with all below them, CSVs with a column `path`.

    A path in a CSV is relative to the CSV. A file that is named is an image whatever its suffix.

    Raises:
        UserError: A CSV cannot be read or lacks the column, or there is no image at all.
    """
    found: dict[Path, None] = {}
    absent: list[Path] = []
    masks: list[Path] = []
    ignored = 0
    for path in paths:
        if path.is_dir():
            for file in _below(path):
                if file.suffix.lower() in SUFFIXES:
                    found[file] = None
                    masks += [file] * _is_mask(file.relative_to(path))
                else:
                    ignored += 1
            continue
        for file in _listed(path) if path.suffix.lower() == ".csv" else [path]:
            if os.path.lexists(file):
                found[file] = None
            else:
                absent.append(file)
    if not found:
        where = ", ".join(map(str, paths[:3])) + (" …" if len(paths) > 3 else "")
        missing = f"; there is no file {absent[0]}" if absent else ""
        raise UserError(
            f"predict: found no image ({'/'.join(SUFFIXES)}) in {where}{missing}; "
            "name files, folders or a CSV with a column path"
        )
    return Sources(tuple(found), tuple(absent), ignored, tuple(dict.fromkeys(masks)))


def _is_mask(path: Path) -> bool:
    return names_mask(path.stem, folder=False) or any(
        names_mask(name, folder=True) for name in path.parts[:-1]
    )


def _below(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(root) / name for name in sorted(files) if not name.startswith("."))


def _listed(path: Path) -> list[Path]:
    named = (row.cells.get("path", "").strip() for row in csv_text.read(path, ["path"]))
    return [path.parent / Path(name).expanduser() for name in named if name]

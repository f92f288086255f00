"""Checkpoints on disk: whole or not there at all, and known to be undamaged when read.

A checkpoint is a directory: `arrays.npz`, `state.json` and `SHA256SUMS` of both. It is written
aside, synced and renamed. A damaged one is passed over for the one before.
"""

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_exp.system.files import sha256, sync

SCHEMA = 2  # raise it when the content of `state.json` or the arrays change their meaning
KEPT = 2
ARRAYS, STATE, SUMS = "arrays.npz", "state.json", "SHA256SUMS"
Position = tuple[int, int]  # epochs that are over, steps of the next one


@dataclass(frozen=True)
class Saved:
    """A checkpoint that was read back.

    Attributes:
        place: Its directory.
        arrays: By name.
        state: JSON content.
        passed_over: One sentence for each newer checkpoint that is damaged.
    """

    place: Path
    arrays: Mapping[str, np.ndarray]
    state: Mapping[str, Any]
    passed_over: tuple[str, ...]


class Store:
    """The checkpoints of one run: the last two, and the best epoch's."""

    def __init__(self, folder: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Opens the folder; it is made by the first `save`.

        Args:
            folder: Of this run alone.
            facts: JSON content that goes into the state of every checkpoint.
        """
        self.folder, self._facts = folder, facts or {}

    def save(
        self,
        position: Position,
        arrays: Mapping[str, np.ndarray],
        state: Mapping[str, Any],
        best: Position | None = None,
    ) -> None:
        """Writes a checkpoint and removes those that are no longer needed.

        Args:
            position: Where training stands.
            arrays: Any names without `/../`.
            state: JSON content.
            best: The position of the checkpoint that is kept beside the last ones.

        Raises:
            OSError: It could not be written; earlier checkpoints are as they were.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        place = self.folder / _name(position)
        aside = self.folder / f".{place.name}.tmp"
        shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed here
        aside.mkdir()
        try:
            with (aside / ARRAYS).open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                _sync(file)
            content = json.dumps({"schema": SCHEMA, **self._facts, **state}, indent=1)
            for name, text in ((STATE, content), (SUMS, _sums(aside, content))):
                with (aside / name).open("w", encoding="utf-8") as file:
                    file.write(text)
                    _sync(file)
            sync(aside)
            shutil.rmtree(place, ignore_errors=True)  # a damaged one that was passed over
            aside.rename(place)
            sync(self.folder)
        except OSError:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        for old in self._places()[:-KEPT]:
            if best is None or old.name != _name(best):
                shutil.rmtree(old, ignore_errors=True)

    def newest(self) -> Saved | None:
        """Returns the newest undamaged checkpoint, None where there is none."""
        passed_over: list[str] = []
        for place in reversed(self._places()):
            try:
                return _read(place, tuple(passed_over))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                passed_over.append(f"checkpoint {place} is damaged and was passed over: {error}")
        return None

    def remove(self) -> None:
        """Removes all checkpoints: the run has ended and left its weights elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _places(self) -> list[Path]:
        """Returns the finished checkpoints, oldest first; those kept as best may be among them."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if p.is_dir() and p.name[0] != ".")


def _name(position: Position) -> str:
    return f"epoch-{position[0]:06d}-step-{position[1]:08d}"


def _read(place: Path, passed_over: tuple[str, ...]) -> Saved:
    text = (place / STATE).read_text(encoding="utf-8")
    if (place / SUMS).read_text(encoding="utf-8") != _sums(place, text):
        raise ValueError("its checksums do not fit")
    state = json.loads(text)
    if state["schema"] != SCHEMA:
        raise ValueError(f"its schema is {state['schema']}, this version reads {SCHEMA}")
    with np.load(place / ARRAYS, allow_pickle=False) as file:
        arrays = dict(file.items())
    return Saved(place, arrays, state, passed_over)


def _sums(place: Path, state: str) -> str:
    """Returns what `sha256sum` prints of both files."""
    of_state = hashlib.sha256(state.encode()).hexdigest()
    return f"{sha256(place / ARRAYS)}  {ARRAYS}\n{of_state}  {STATE}\n"


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())

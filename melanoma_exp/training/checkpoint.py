"""Checkpoints on disk: written atomically, and verified when loaded.

A checkpoint is a folder: `arrays.npz`, `state.json` and `SHA256SUMS` of both. It is written under a
temporary name, synced and renamed. Loading skips a damaged one and takes the one before.
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

from melanoma_exp.system.files import sha256, sync, write

SCHEMA = 2  # raise it when the content of `state.json` or the arrays change meaning
KEEP = 2
ARRAYS, STATE, SUMS = "arrays.npz", "state.json", "SHA256SUMS"
Position = tuple[int, int]  # finished epochs, finished steps of the next one


@dataclass(frozen=True)
class SavedCheckpoint:
    """A loaded checkpoint.

    Attributes:
        path: Its folder.
        arrays: By name.
        state: JSON content.
        skipped: One sentence for each newer checkpoint that is damaged.
    """

    path: Path
    arrays: Mapping[str, np.ndarray]
    state: Mapping[str, Any]
    skipped: tuple[str, ...]


class CheckpointStore:
    """The checkpoints of one run: the last two, and the best epoch's."""

    def __init__(
        self,
        folder: Path,
        facts: Mapping[str, Any] | None = None,
        beside: Mapping[str, str] | None = None,
    ) -> None:
        """Prepares; the first `save` creates the folder.

        Args:
            folder: A folder for this run alone.
            facts: JSON content added to the state of every checkpoint.
            beside: Texts by name of their file, kept with the checkpoints.
        """
        self.folder, self._facts, self._beside = folder, facts or {}, beside or {}

    def save(
        self,
        position: Position,
        arrays: Mapping[str, np.ndarray],
        state: Mapping[str, Any],
        best: Position | None = None,
    ) -> None:
        """Writes a checkpoint and removes those that are no longer needed.

        Args:
            position: Finished epochs and steps.
            arrays: Any names without `/../`.
            state: JSON content.
            best: Position of a checkpoint to keep beside the last ones.

        Raises:
            OSError: It could not be written; earlier checkpoints are untouched.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self._beside.items():
            if not (self.folder / name).exists():  # the first time, or the folder was deleted
                write(self.folder / name, text)
        path = self.folder / _name(position)
        temporary = self.folder / f".{path.name}.tmp"
        shutil.rmtree(temporary, ignore_errors=True)  # of a process that was killed here
        temporary.mkdir()
        try:
            with (temporary / ARRAYS).open("wb") as file:
                np.savez(file, **arrays)  # type: ignore[arg-type]
                _sync(file)
            whole = {"schema": SCHEMA, **self._facts, **state}
            content = json.dumps(whole, indent=1, allow_nan=False)
            for name, text in ((STATE, content), (SUMS, _sums(temporary, content))):
                with (temporary / name).open("w", encoding="utf-8") as file:
                    file.write(text)
                    _sync(file)
            sync(temporary)
            shutil.rmtree(path, ignore_errors=True)  # a damaged one that was skipped
            temporary.rename(path)
            sync(self.folder)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            raise
        for old in self._paths()[:-KEEP]:
            if best is None or old.name != _name(best):
                shutil.rmtree(old, ignore_errors=True)

    def newest(self) -> SavedCheckpoint | None:
        """Returns the newest undamaged checkpoint, None where there is none."""
        skipped: list[str] = []
        for path in reversed(self._paths()):
            try:
                return _read(path, tuple(skipped))
            except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
                skipped.append(f"checkpoint {path} is damaged and was skipped: {error}")
        return None

    def remove(self) -> None:
        """Removes all checkpoints, once the weights are saved elsewhere."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _paths(self) -> list[Path]:
        """Returns the finished checkpoints, oldest first; the best epoch's among them."""
        if not self.folder.is_dir():
            return []
        return sorted(p for p in self.folder.iterdir() if p.is_dir() and p.name[0] != ".")


def _name(position: Position) -> str:
    return f"epoch-{position[0]:06d}-step-{position[1]:08d}"


def _read(path: Path, skipped: tuple[str, ...]) -> SavedCheckpoint:
    text = (path / STATE).read_text(encoding="utf-8")
    if (path / SUMS).read_text(encoding="utf-8") != _sums(path, text):
        raise ValueError("its checksums do not match")
    state = json.loads(text)
    if state["schema"] != SCHEMA:
        raise ValueError(f"its schema is {state['schema']}, this version reads {SCHEMA}")
    with np.load(path / ARRAYS, allow_pickle=False) as file:
        arrays = dict(file.items())
    return SavedCheckpoint(path, arrays, state, skipped)


def _sums(path: Path, state: str) -> str:
    """Returns what `sha256sum` prints of both files."""
    of_state = hashlib.sha256(state.encode()).hexdigest()
    return f"{sha256(path / ARRAYS)}  {ARRAYS}\n{of_state}  {STATE}\n"


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())

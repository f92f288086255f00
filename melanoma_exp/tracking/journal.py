"""The journal of a run: what it logs is on disk before it is uploaded to the tracking store.

One folder a run. `run.json` names the store and the run. `entries.jsonl` grows by one line an
entry; a last line without its end was never promised and is dropped. `files/N/` holds copies of
artifacts. What cannot be uploaded at once is synced, so that it survives a power cut too.
`delivered` is how much of the entries the store has, in bytes: a hint, because a repeated upload
makes no duplicates. `lock` is held by the one process that may append or upload.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError
from melanoma_exp.system import locks
from melanoma_exp.system.files import sync, write
from melanoma_exp.tracking.store import DEFAULT_FOLDER

ROOT = DEFAULT_FOLDER / "spool"
RUN, ENTRIES, FILES, DELIVERED, LOCK = "run.json", "entries.jsonl", "files", "delivered", "lock"
REMOVED = ".delivered"  # suffix of a folder that is being removed
BATCH = 1000  # metrics that a store takes in one request


@dataclass(frozen=True)
class Entry:
    """One thing that a run logs.

    Attributes:
        kind: metrics, params, tags, dataset, file, model or status.
        content: JSON; what it is depends on the kind.
        path: Of a file or of a model's folder.
    """

    kind: str
    content: Any
    path: Path | None = None


class Journal:
    """The entries of one run that are not uploaded yet."""

    def __init__(self, run_id: str, root: Path = ROOT) -> None:
        """Names the folder; nothing is created yet."""
        self.run_id, self.folder = run_id, root / run_id
        self._lock: Any = None
        self._size = 0  # bytes of whole entries
        self._unsynced: list[Path] = []

    def open(self, uri: str, name: str) -> None:
        """Creates the folder if it is not there and locks it for this process.

        Args:
            uri: Of the store.
            name: Of the run.

        Raises:
            UserError: Another process holds it.
            OSError: It cannot be written.
        """
        while self._lock is None:
            (self.folder / FILES).mkdir(parents=True, exist_ok=True)
            self._lock = self._acquire()
        if not (self.folder / RUN).exists():
            write(self.folder / RUN, json.dumps({"uri": uri, "name": name}))
            sync(self.folder)
            sync(self.folder.parent)
        path = self.folder / ENTRIES
        self._size = path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0

    def close(self) -> None:
        """Releases the lock; removes the folder unless something is still pending."""
        if self._lock is None:
            return
        if not self.pending():
            # Renamed first: whoever looks finds all of it or nothing.
            removed = self.folder.with_name(self.folder.name + REMOVED)
            shutil.rmtree(removed, ignore_errors=True)
            os.replace(self.folder, removed)
            shutil.rmtree(removed, ignore_errors=True)
        self._lock.close()
        self._lock = None

    def owner(self) -> dict[str, str]:
        """Returns the `uri` of the store and the `name` of the run."""
        return json.loads((self.folder / RUN).read_text())

    def sync_command(self) -> str:
        """Returns the command that uploads what is pending."""
        root = self.folder.parent
        folder = [] if root == ROOT else [f"tracking.folder={root.parent}"]
        return " ".join(["melanoma-exp sync", self.run_id, *folder])

    def append(self, entry: Entry) -> None:
        """Appends an entry, with a copy of its file; from then on it outlives the process.

        Raises:
            OSError: It cannot be written; the journal is as before.
        """
        line = {"kind": entry.kind, "content": entry.content}
        if entry.path is not None:
            line["path"] = self._copy(entry.path)
        data = json.dumps(line).encode() + b"\n"
        with (self.folder / ENTRIES).open("ab") as file:
            file.truncate(self._size)  # half an entry of an earlier, failed attempt
            try:
                file.write(data)
                file.flush()
            except OSError:
                os.truncate(file.fileno(), self._size)
                raise
        self._size += len(data)

    def sync(self) -> None:
        """Returns when all that is pending would survive a power cut.

        Raises:
            OSError: It would not.
        """
        for path in (self.folder / ENTRIES, *self._unsynced, self.folder / FILES):
            sync(path)
        self._unsynced = []

    def pending(self) -> list[Entry]:
        """Returns the entries that are not uploaded yet, oldest first."""
        return [entry for entry, _ in self._read()]

    def batches(self) -> Iterator[tuple[Entry, int]]:
        """Yields what is pending, successive metrics merged, each with the byte it ends at."""
        for kind, group in groupby(self._read(), lambda found: found[0].kind):
            if kind != "metrics":
                yield from group
                continue
            points: list[Any] = []
            end = 0
            for entry, next_end in group:
                if points and len(points) + len(entry.content) > BATCH:
                    yield Entry(kind, points), end
                    points = []
                points, end = [*points, *entry.content], next_end
            yield Entry(kind, points), end

    def mark(self, end: int) -> None:
        """Notes that all entries up to this byte are uploaded."""
        if end < self._size:
            write(self.folder / DELIVERED, str(end))
        else:
            self.clear()

    def clear(self) -> None:
        """Forgets all entries."""
        (self.folder / DELIVERED).unlink(missing_ok=True)
        files = list((self.folder / FILES).iterdir())
        with (self.folder / ENTRIES).open("r+b") as file:
            file.truncate(0)
            if files:  # an entry must never outlive its file
                os.fsync(file.fileno())
        for path in files:
            shutil.rmtree(path)
        self._size, self._unsynced = 0, []

    def _acquire(self) -> Any:
        """Returns the lock, None where the folder was removed meanwhile."""
        path = self.folder / LOCK
        lock = path.open("w")
        try:
            locks.acquire(lock, wait=False)
        except BlockingIOError as error:
            lock.close()
            raise UserError(
                f"tracking: the journal of run {self.run_id} is in use by another process: the run "
                "itself, which uploads when the store is back, or another sync"
            ) from error
        if locks.is_same_file(lock, path):
            return lock
        lock.close()
        return None

    def _read(self) -> Iterator[tuple[Entry, int]]:
        path = self.folder / ENTRIES
        if not path.exists():
            return
        with path.open("rb") as file:
            end = file.seek(self._delivered())
            for data in file:
                if not data.endswith(b"\n"):
                    return
                end += len(data)
                try:
                    line = json.loads(data)
                except ValueError as error:
                    raise UserError(f"{path}: damaged before byte {end}: {error}") from error
                copied = self.folder / line["path"] if "path" in line else None
                yield Entry(line["kind"], line["content"], copied), end

    def _delivered(self) -> int:
        try:
            return int((self.folder / DELIVERED).read_text())
        except (OSError, ValueError):  # none, or torn: all of it again
            return 0

    def _copy(self, path: Path) -> str:
        """Copies a file or folder into the journal; returns where, relative to its folder."""
        parent = self.folder / FILES / str(self._size)  # no two entries begin at the same byte
        shutil.rmtree(parent, ignore_errors=True)
        parent.mkdir()
        target = parent / path.name
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy2(path, target)
        self._unsynced += [target, *target.rglob("*"), parent]
        return target.relative_to(self.folder).as_posix()


def pending_runs(root: Path = ROOT) -> list[Journal]:
    """Returns the journals with pending entries, by run id."""
    paths = [path.parent for path in sorted(root.glob(f"*/{RUN}"))]
    journals = [Journal(path.name, root) for path in paths if path.suffix != REMOVED]
    return [journal for journal in journals if journal.pending()]

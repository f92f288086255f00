"""What waits on disk for a server that is lost: one folder a run.

`run.json` says whose it is. `entries.jsonl` grows by one line an entry, each synced before it
counts; a last line without its end was never promised and is dropped. `files/N/` holds copies of
artifacts. `delivered` is how much of the entries the server has, in bytes: a hint, for a delivery
that is repeated makes no doubles. `lock` is held by the one process that may add or deliver.
"""

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError
from melanoma_exp.system.files import sync, write

ROOT = Path("mlruns") / "spool"
RUN, ENTRIES, FILES, DELIVERED, LOCK = "run.json", "entries.jsonl", "files", "delivered", "lock"
GONE = ".delivered"  # suffix of a folder that is being removed
POINTS = 1000  # metrics that a server takes at once


@dataclass(frozen=True)
class Entry:
    """One thing that a run has to say.

    Attributes:
        kind: metrics, params, tags, dataset, file, model or status.
        content: In JSON's types; what it is depends on the kind.
        path: Of a file or of a model's folder.
    """

    kind: str
    content: Any
    path: Path | None = None


class Spool:
    """The entries of one run that wait."""

    def __init__(self, run_id: str, root: Path = ROOT) -> None:
        """Names the place; nothing is made yet."""
        self.run_id, self.folder = run_id, root / run_id
        self._lock: Any = None
        self._size = 0  # bytes of whole entries

    def exists(self) -> bool:
        """Whether anything waits, or waited and was not cleared away."""
        return (self.folder / RUN).exists()

    def open(self, uri: str, name: str) -> None:
        """Makes the place if it is not there and keeps it for this process.

        Args:
            uri: Of the server.
            name: Of the run.

        Raises:
            UserError: Another process is at work on it.
        """
        if self._lock is not None:
            return
        while self._lock is None:
            (self.folder / FILES).mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
        if not self.exists():
            write(self.folder / RUN, json.dumps({"uri": uri, "name": name}))
            sync(self.folder)
            sync(self.folder.parent)
        self._size = _whole(self.folder / ENTRIES)

    def close(self) -> None:
        """Lets go of the place; what waits stays."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def owner(self) -> dict[str, str]:
        """Returns the `uri` and the `name` of the run."""
        return json.loads((self.folder / RUN).read_text())

    def add(self, entry: Entry) -> None:
        """Adds an entry, with a copy of its file, and returns when it is on the disk.

        Raises:
            OSError: It is not; the place is as before.
        """
        line = {"kind": entry.kind, "content": entry.content}
        if entry.path is not None:
            line["path"] = self._copied(entry.path)
        data = json.dumps(line).encode() + b"\n"
        with (self.folder / ENTRIES).open("ab") as file:
            file.truncate(self._size)  # half an entry of an earlier, failed attempt
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            except OSError:
                os.truncate(file.fileno(), self._size)
                raise
        self._size += len(data)

    def waiting(self) -> list[Entry]:
        """Returns the entries that were not delivered yet, oldest first."""
        return [entry for entry, _ in self._read()]

    def parcels(self) -> Iterator[tuple[Entry, int]]:
        """Gives what waits, metrics that follow one another as one entry, each with its end."""
        held: Entry | None = None
        end = 0
        for entry, next_end in self._read():
            if held is not None:
                if entry.kind == "metrics" and len(held.content) + len(entry.content) <= POINTS:
                    held, end = Entry("metrics", [*held.content, *entry.content]), next_end
                    continue
                yield held, end
                held = None
            if entry.kind == "metrics":
                held, end = entry, next_end
            else:
                yield entry, next_end
        if held is not None:
            yield held, end

    def mark(self, end: int) -> None:
        """Notes that all entries up to this end are delivered."""
        write(self.folder / DELIVERED, str(end))

    def remove(self) -> None:
        """Clears the place away, all at once for whoever looks."""
        gone = self.folder.with_name(self.folder.name + GONE)
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(self.folder, gone)
        shutil.rmtree(gone, ignore_errors=True)
        self.close()

    def _locked(self) -> Any:
        """Returns the lock, None where the place was cleared away meanwhile."""
        path = self.folder / LOCK
        lock = path.open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise UserError(
                f"tracking: what waits of run {self.run_id} is in the hands of another process: "
                "the run itself, which delivers when the server is back, or another sync"
            ) from error
        if path.exists() and path.stat().st_ino == os.fstat(lock.fileno()).st_ino:
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
                place = self.folder / line["path"] if "path" in line else None
                yield Entry(line["kind"], line["content"], place), end

    def _delivered(self) -> int:
        try:
            return int((self.folder / DELIVERED).read_text())
        except (OSError, ValueError):  # none, or torn: all of it again
            return 0

    def _copied(self, path: Path) -> str:
        """Copies a file or folder below the place; returns where."""
        place = self.folder / FILES / str(self._size)  # no two entries begin at the same byte
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        target = place / path.name
        if path.is_dir():
            shutil.copytree(path, target)
        else:
            shutil.copy2(path, target)
        for each in (target, *target.rglob("*"), place, place.parent):
            sync(each)
        return target.relative_to(self.folder).as_posix()


def waiting_runs(root: Path = ROOT) -> list[Spool]:
    """Returns the runs of which something waits here, by id."""
    return [
        Spool(path.parent.name, root)
        for path in sorted(root.glob(f"*/{RUN}"))
        if not path.parent.name.endswith(GONE)
    ]


def _whole(path: Path) -> int:
    """Returns how many bytes of a file are whole lines."""
    return path.read_bytes().rfind(b"\n") + 1 if path.exists() else 0

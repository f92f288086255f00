"""Uploads the journal of a run to its store, at once or when a lost store is back."""

import math
import sys
import threading
import time
from dataclasses import dataclass

from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import printable
from melanoma_exp.tracking.connection import connect, store_errors
from melanoma_exp.tracking.journal import Entry, Journal
from melanoma_exp.tracking.mlflow_store import MlflowStore
from melanoma_exp.tracking.store import StoreError

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0  # seconds until a lost store is tried again
RETRY_WITHIN = 1.0  # seconds; a failure that took longer is no dropped connection
SHARE = 5.0  # seconds that an upload of what has piled up may hold up training


class Uploader:
    """Journals what a run logs and uploads it in that order.

    Every entry is in the journal before it is sent, and sent before the next. While the store is
    lost the entries pile up in the journal, synced to disk; the store is tried again after growing
    pauses.
    """

    def __init__(self, store: MlflowStore, journal: Journal, name: str) -> None:
        """Opens the journal and uploads what an earlier process of the run left in it.

        Args:
            store: Of the run.
            journal: Of the run.
            name: Of the run.

        Raises:
            UserError: The store is lost or refuses, or another process holds the journal.
        """
        self._store, self._journal = store, journal
        self._lost = ""  # why the store is lost
        self._wait, self._retry_at = FIRST_WAIT, 0.0
        self._lock = threading.RLock()  # the thread that samples system metrics logs, too
        try:
            journal.open(store.uri, name)
            upload(store, journal)
        except OSError as error:
            message = f"tracking: cannot write {journal.folder}: {error.strerror}"
            raise StoreError(message) from error
        except UserError:
            journal.close()
            raise

    @property
    def is_behind(self) -> bool:
        """Whether the store is lost and entries wait for it."""
        return bool(self._lost)

    def send(self, entry: Entry, seconds: float = SHARE) -> None:
        """Logs an entry.

        Args:
            entry: What to log.
            seconds: After which an upload of several entries stops until the next call.

        Raises:
            UserError: The store refuses it, or neither disk nor store takes it.
        """
        with self._lock:
            try:
                self._journal.append(entry)
            except OSError as error:
                if self._lost:
                    raise self._unwritable(error) from error
                # Nothing is pending: a full disk alone does not keep a store from taking it.
                self._store.write(entry)
                return
            if not self._lost or time.monotonic() >= self._retry_at:
                self._upload(seconds)
            if self._lost:
                try:
                    self._journal.sync()
                except OSError as error:
                    raise self._unwritable(error) from error

    def close(self, entry: Entry) -> None:
        """Logs the last entry, and says how to upload what cannot be uploaded now."""
        with self._lock:
            self._retry_at = 0.0
            try:
                self.send(entry, math.inf)
            finally:
                self._journal.close()
            if self._lost:
                _notify(
                    f"run {self._journal.run_id} is saved in {self._journal.folder.absolute()} "
                    f"({self._lost}); upload it with: {self._journal.sync_command()}"
                )

    def _unwritable(self, error: OSError) -> StoreError:
        message = f"{self._lost}, and cannot write {self._journal.folder}"
        return StoreError(f"{message}: {error.strerror}")

    def _upload(self, seconds: float) -> None:
        try:
            if self._lost:
                self._store.check()
            is_all = upload(self._store, self._journal, seconds)
        except UserError as error:
            if not self._lost and not isinstance(error, StoreError):
                self._journal.clear()  # of the one refused entry; the caller reports it
                raise
            self._wait = min(2 * self._wait, LONGEST_WAIT) if self._lost else FIRST_WAIT
            self._retry_at = time.monotonic() + self._wait
            if not self._lost:
                folder = self._journal.folder
                _notify(f"{error.lines[0]}; the run continues and its record waits in {folder}")
            self._lost = error.lines[0]
            return
        if self._lost and is_all:
            self._lost = ""
            _notify(f"tracking: {self._store.uri} answers again and has all that was pending")


def upload(store: MlflowStore, journal: Journal, seconds: float = math.inf) -> bool:
    """Uploads what is pending, oldest first.

    Args:
        store: Of the run.
        journal: Opened.
        seconds: After which it stops between two entries.

    Returns:
        Whether nothing is pending any more.

    Raises:
        StoreError: The store does not answer.
        UserError: It refuses an entry.
    """
    deadline = time.monotonic() + seconds
    for entry, end in journal.batches():
        if time.monotonic() > deadline:
            return False
        started = time.monotonic()
        try:
            store.write(entry)
        except StoreError:
            if time.monotonic() - started > RETRY_WITHIN:
                raise
            store.write(entry)  # a server may close an idle connection just when it is used
        journal.mark(end)
    return True


@dataclass(frozen=True)
class Uploaded:
    """The result of `sync`: how many entries went where, and the run's status there now."""

    entries: int
    uri: str
    status: str


def sync(journal: Journal, uri: str | None = None) -> Uploaded:
    """Uploads all that is pending of one run, from another process than the run's.

    Killed anywhere and started again it makes no duplicates.

    Args:
        journal: Of the run.
        uri: Of the store, where it is no longer the one that the run was started with.

    Raises:
        UserError: The store does not answer or refuses, or another process holds the journal.
    """
    owner = journal.owner()
    uri = uri or owner["uri"]
    client = connect(uri)
    journal.open(uri, owner["name"])
    entries = len(journal.pending())
    try:
        upload(MlflowStore(client, uri, journal.run_id), journal)
    except UserError as error:
        left = len(journal.pending())
        raise UserError(
            f"run {journal.run_id}: {entries - left} of {entries} entries uploaded, the others "
            f"stay in {journal.folder}: {error.lines[0]}"
        ) from error
    finally:
        journal.close()
    with store_errors(uri):
        return Uploaded(entries, uri, client.get_run(journal.run_id).info.status)


def _notify(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)

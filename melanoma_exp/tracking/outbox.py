"""What a run has to say goes to the store at once, or waits on disk while the store is lost."""

import math
import sys
import threading
import time
from collections.abc import Callable

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.base import StoreError
from melanoma_exp.tracking.delivery import Store
from melanoma_exp.tracking.spool import Entry, Spool

FIRST_WAIT, LONGEST_WAIT = 10.0, 300.0  # seconds until a lost server is asked again
SHARE = 5.0  # seconds that training gives to a delivery before it goes on


class Outbox:
    """The way of one run's entries, in their order, to its store."""

    def __init__(
        self,
        store: Store,
        spool: Spool | None,
        owner: tuple[str, str],
        check: Callable[[], None],
        resumed: bool,
    ) -> None:
        """Opens the way; delivers first what an earlier process of the run left waiting.

        Args:
            store: Of the run.
            spool: For a store that can be lost; without it a loss is an error.
            owner: URI of the store and name of the run.
            check: Raises a `UserError` while the store is lost.
            resumed: Whether the store may have some of the entries.

        Raises:
            UserError: The store is lost or refuses, or another process is delivering.
        """
        self._store, self._spool, self._owner, self._check = store, spool, owner, check
        self._asks_first = resumed
        self._is_lost = False
        self._reason = ""
        self._wait, self._due = FIRST_WAIT, 0.0
        # The sampling thread has something to say, too.
        self._lock = threading.RLock()
        if spool is not None and spool.exists():
            spool.open(*owner)
            try:
                deliver(store, spool)
            except UserError:
                spool.close()
                raise

    def send(self, entry: Entry) -> None:
        """Delivers an entry, or leaves it on the disk.

        Raises:
            UserError: The store refuses it, or it can be kept nowhere.
        """
        with self._lock:
            if not self._is_lost:
                try:
                    self._store.take(entry, anew=not self._asks_first)
                    return
                except StoreError as error:
                    if self._spool is None:
                        self._asks_first = True  # the answer may have been lost, not the entry
                        raise
                    self._lose(error)
            self._keep(entry)
            if time.monotonic() >= self._due:
                self._try(SHARE)

    def close(self, entry: Entry) -> None:
        """Sends the last entry, and says what must be done where it cannot be delivered now."""
        with self._lock:
            self._due = math.inf
            self.send(entry)
            if self._is_lost:
                self._try(math.inf)
            if self._is_lost and self._spool is not None:
                self._spool.close()
                _tell(
                    f"run {self._spool.run_id} is kept in {self._spool.folder.absolute()} "
                    f"({self._reason}); deliver it with: melanoma-exp sync {self._spool.run_id}"
                )

    def _lose(self, error: StoreError) -> None:
        assert self._spool is not None
        self._is_lost, self._reason = True, error.lines[0]
        self._wait = FIRST_WAIT
        self._due = time.monotonic() + self._wait
        _tell(f"{self._reason}; the run goes on and its record waits in {self._spool.folder}")

    def _keep(self, entry: Entry) -> None:
        assert self._spool is not None
        try:
            self._spool.open(*self._owner)
            self._spool.add(entry)
        except OSError as error:
            raise UserError(
                f"{self._reason}, and {self._spool.folder} cannot be written: {error.strerror}"
            ) from error

    def _try(self, seconds: float) -> None:
        """Asks the store again and delivers what waits, for so long at most."""
        assert self._spool is not None
        try:
            self._check()
            count, is_all = deliver(self._store, self._spool, seconds)
        except UserError as error:
            self._reason = error.lines[0]
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            self._due = time.monotonic() + self._wait
            return
        if is_all:
            self._is_lost = False
            _tell(f"tracking: {self._owner[0]} answers again and has all that waited")


def deliver(store: Store, spool: Spool, seconds: float = math.inf) -> tuple[int, bool]:
    """Hands over what waits, oldest first, and clears it away when nothing is left.

    Args:
        store: Of the run.
        spool: Opened.
        seconds: After which it stops between two entries.

    Returns:
        How many parcels were delivered, and whether that was all.

    Raises:
        StoreError: The store does not answer.
        UserError: It refuses an entry.
    """
    deadline = time.monotonic() + seconds
    count = 0
    for entry, end in spool.parcels():
        if time.monotonic() > deadline:
            return count, False
        store.take(entry, anew=False)
        spool.mark(end)
        count += 1
    spool.remove()
    return count, True


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Ctrl-C and SIGTERM: an exception at once, or a flag for code that can stop in good order."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked to stop: `signum`; `message` says how to resume, where that is possible."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.message = ""


class PrunedError(Exception):
    """A pruner stopped the training; the message says why."""


class Signals:
    """Handles Ctrl-C and SIGTERM.

    Attributes:
        received: The signal that came while signals were deferred, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferring = False

    @contextmanager
    def handled(self) -> Iterator["Signals"]:
        """Raises `Interrupted` wherever a signal comes, unless signals are deferred."""
        before = {s: signal.signal(s, self._handle) for s in SIGNALS}
        try:
            yield self
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Only records the first signal: the code inside checks `received` and stops by itself.

        A second signal raises at once.

        Raises:
            Interrupted: A signal came and the code inside ended without checking.
        """
        self._deferring = True
        try:
            yield
        finally:
            self._deferring = False
        self.raise_if_received()

    def raise_if_received(self) -> None:
        """Raises `Interrupted` if a signal asked to stop."""
        if self.received is not None:
            raise Interrupted(self.received)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if not self._deferring or self.received is not None:
            raise Interrupted(signum)
        self.received = signum

"""Requests to stop: an exception at once, or a flag for code that can stop in good order.

They are Ctrl-C, SIGTERM, and SIGHUP where the terminal is closed or a connection to it is lost.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


def requests() -> tuple[signal.Signals, ...]:
    """Returns the signals that ask this process to stop: not SIGHUP under `nohup`."""
    ignores_hangup = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return (signal.SIGINT, signal.SIGTERM, *([] if ignores_hangup else [signal.SIGHUP]))


class Interrupted(BaseException):
    """A signal asked to stop: `signum`; `message` says how to resume, where that is possible."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
        self.message = ""


class PrunedError(Exception):
    """A pruner stopped the training; the message says why."""


class Signals:
    """Handles requests to stop.

    Attributes:
        received: The signal that came while signals were deferred, or None.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._deferring = self._was_asked = False

    @contextmanager
    def handled(self) -> Iterator["Signals"]:
        """Raises `Interrupted` wherever a signal comes, unless signals are deferred."""
        before = {s: signal.signal(s, self._handle) for s in requests()}
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
        again, self._was_asked = self._was_asked, True
        if again and signum == signal.SIGHUP:
            return  # a closed terminal sends it twice, by the shell and by the system
        if not self._deferring or self.received is not None:
            raise Interrupted(signum)
        self.received = signum

"""A count that grows: one line that moves in a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from melanoma_exp.report.console import PLAIN_EVERY
from melanoma_exp.system.shown import file_size


class Counter:
    """Shows how many items of a long computation are done; shows nothing before the first."""

    def __init__(self, screen: Console, what: str, of_bytes: bool = False) -> None:
        """Prepares the line.

        Args:
            screen: Where to.
            what: Is counted.
            of_bytes: Whether bytes are, which are shown in larger units.
        """
        self._screen, self._what, self._of_bytes = screen, what, of_bytes
        self._start = self._printed = time.monotonic()
        counts = (DownloadColumn(binary_units=True), TransferSpeedColumn())
        self._bar = Progress(
            TextColumn(what),
            BarColumn(),
            *(counts if of_bytes else (MofNCompleteColumn(),)),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task("", visible=False)

    def __enter__(self) -> "Counter":
        """Shows the line once there is something to show."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the line."""
        self._bar.stop()

    def update(self, done: int, total: int) -> None:
        """Moves the line; without a terminal prints one now and then, and at the end."""
        self._bar.update(self._task, completed=done, total=total, visible=True)
        now = time.monotonic()
        if self._screen.is_terminal or (now - self._printed < PLAIN_EVERY and done < total):
            return
        self._printed = now
        one, all_of_it = (file_size(n) if self._of_bytes else str(n) for n in (done, total))
        self._screen.print(f"{self._what} {one}/{all_of_it}, {now - self._start:.0f} s")

"""A count that grows: one line that moves in a terminal, plain lines elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from melanoma_exp.report.console import PLAIN_EVERY


class Counter:
    """Shows how many items of a long computation are done; shows nothing before the first."""

    def __init__(self, screen: Console, what: str) -> None:
        """Prepares the line.

        Args:
            screen: Where to.
            what: Is counted.
        """
        self._screen, self._what = screen, what
        self._start = self._printed = time.monotonic()
        self._bar = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
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
        self._screen.print(f"{self._what} {done}/{total}, {now - self._start:.0f} s")

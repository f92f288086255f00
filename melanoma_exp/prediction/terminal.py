"""Predictions on the screen: progress, the worklist, files that could not be read."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from melanoma_exp.prediction.predict import Prediction
from melanoma_exp.prediction.worklist import Worklist
from melanoma_exp.report.console import DISCLAIMER, PLAIN_EVERY, print_worth
from melanoma_exp.system.shown import escape, printable

SHOWN = 40  # rows of the table
SHOWN_UNREADABLE = 20


@contextmanager
def progress_bar(screen: Console, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """Shows progress: a bar in a terminal, a line now and then elsewhere.

    Args:
        screen: Where to.
        what: What is counted, e.g. "images".
        total: How many there are.

    Yields:
        A function to call with the number that is done.
    """
    printed = time.monotonic()
    with Progress(
        TextColumn(what),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=screen,
        transient=True,
        disable=not screen.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total)

        def update(done: int) -> None:
            nonlocal printed
            bar.update(task, completed=done)
            if not screen.is_terminal and time.monotonic() - printed > PLAIN_EVERY:
                screen.print(f"{done}/{total} {what}")
                printed = time.monotonic()

        yield update


def print_worklist(screen: Console, worklist: Worklist) -> None:
    """Prints the first rows, the counts and the files that could not be read."""
    print_worth(screen, worklist.sentence, worklist.doubts)
    found = worklist.predictions
    images = f"{len(found)} image{'s' * (len(found) != 1)}"
    title = escape(f"Worklist of {images}, run {worklist.run_name}")
    folder = common_folder(worklist)
    if folder:
        title += f"\n{escape(f'below {folder}')}"
    table = Table(title=title, title_justify="left")
    table.add_column("", justify="right")
    table.add_column("image", overflow="fold", ratio=3)
    table.add_column("advice", ratio=2)
    table.add_column(f"calibrated\n{worklist.name}", justify="right")
    table.add_column("predicted class,\ncalibrated", ratio=2)
    for rank, one in enumerate(found[:SHOWN], 1):
        table.add_row(*_row(rank, one, folder, worklist.classes))
    screen.print(table)
    if len(found) > SHOWN:
        rest = len(found) - SHOWN
        screen.print(f"… and {rest} more, less urgent; --out FILE.csv lists all of them")
    for line in summary(worklist):
        screen.print(line, markup=False, soft_wrap=True)
    for bad in worklist.unreadable[:SHOWN_UNREADABLE]:
        line = f"unreadable: {printable(bad.path)}: {printable(bad.reason)}"
        screen.print(line, markup=False, soft_wrap=True)
    if len(worklist.unreadable) > SHOWN_UNREADABLE:
        screen.print(f"… and {len(worklist.unreadable) - SHOWN_UNREADABLE} more unreadable files")
    screen.print(DISCLAIMER)


def summary(worklist: Worklist) -> list[str]:
    """Returns a summary of the list, a line each."""
    found = worklist.predictions
    alerts = sum(bool(p.alert) for p in found)
    counts = {
        "alert" if alerts == 1 else "alerts": alerts,
        "unsure": sum(p.unsure for p in found),
        "unlike the training images": sum(bool(p.unusual) for p in found),
        "unreadable": len(worklist.unreadable),
    }
    lines = [", ".join(f"{n} {what}" for what, n in counts.items())]
    if worklist.threshold is None:
        lines.append(f"no alerts: the run has no threshold for {worklist.name}")
    else:
        lines.append(f"alert: calibrated {worklist.name} probability from {worklist.threshold:.3f}")
    if found and found[0].unusual is None:
        lines.append("the run had too few images for an out-of-distribution score")
    return lines


def common_folder(worklist: Worklist) -> str:
    """Returns the folder that holds all images, "" where there is none."""
    try:
        return os.path.commonpath([one.path.parent for one in worklist.predictions])
    except ValueError:  # no image, or absolute and relative paths
        return ""


def _row(rank: int, one: Prediction, folder: str, classes: Sequence[str]) -> tuple[str, ...]:
    style = "bold red" if one.alert else "yellow" if one.advice else ""
    share = one.probabilities[classes.index(one.predicted)]
    return (
        str(rank),
        escape(os.path.relpath(one.path, folder) if folder else str(one.path)),
        f"[{style}]{one.advice}[/]" if style else "",
        "-" if one.alert_probability is None else f"{one.alert_probability:.3f}",
        f"{escape(one.predicted)} {share:.2f}",
    )

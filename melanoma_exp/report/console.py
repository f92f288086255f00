"""Terminal output of a run: the plan, the progress, the result."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from melanoma_exp.data.samples import Parts
from melanoma_exp.report.safe_console import SafeConsole
from melanoma_exp.system.shown import escape
from melanoma_exp.training.interfaces import ProgressListener

if TYPE_CHECKING:
    from melanoma_exp.training.checkpoint import SavedCheckpoint

DISCLAIMER = "Research software, not a medical device: no figure here supports a diagnosis."
ADVICE = (
    "the images come too slowly for the model: keep cache.dir on a local disk, leave a core free "
    "for them or use a cheaper augment policy"
)
REPORTED_WAIT = 0.03  # share of an epoch's time spent waiting for data from which on it is reported
PLAIN_EVERY = 30.0  # seconds between lines within an epoch where there is no terminal


def console() -> Console:
    """Returns the screen; without a terminal it prints plain lines, 100 columns wide."""
    screen = SafeConsole(highlight=False)
    return screen if screen.is_terminal else SafeConsole(highlight=False, width=100)


def print_plan(
    screen: Console,
    parts: Parts,
    facts: Mapping[str, str],
    notes: Sequence[str],
    doubts: Sequence[str] = (),
) -> None:
    """Prints the plan of a run.

    Args:
        screen: Where to.
        parts: After balancing.
        facts: Lines of name and value, in order.
        notes: What a reader should know before relying on the result.
        doubts: Reasons not to believe it at all; printed first, in red.
    """
    _print_doubts(screen, doubts)
    table = Table(title="Images", title_justify="left", show_footer=True)
    train = parts.train
    children = train.take(train.copy > 0).counts()
    columns = [
        ("train", train.counts() - children),
        ("synthetic", children),
        ("validation", parts.val.counts()),
        ("test", parts.test.counts()),
    ]
    table.add_column("class", footer="all")
    for name, counts in columns:
        table.add_column(name, footer=str(counts.sum()), justify="right")
    for label, class_name in enumerate(train.classes):
        table.add_row(escape(class_name), *(str(counts[label]) for _, counts in columns))
    screen.print(table)
    width = max(map(len, facts))
    for name, value in facts.items():
        screen.print(f"[bold]{name:<{width}}[/] {escape(value)}", soft_wrap=True)
    for note in notes:
        screen.print(f"[yellow]{'note':<{width}}[/] {escape(note)}", soft_wrap=True)


def print_resumed(screen: Console, run_id: str, saved: "SavedCheckpoint | None") -> None:
    """Prints from where a run resumes, and which checkpoints were skipped."""
    for line in saved.skipped if saved else ():
        screen.print(f"[yellow]warning[/] {line}", soft_wrap=True)
    if saved is None:
        screen.print(f"run {run_id} has no checkpoint: it starts over", soft_wrap=True)
    else:
        where = f"after epoch {saved.state['epoch']}"
        where += f", step {saved.state['step']}" if saved.state["step"] else ""
        screen.print(f"run {run_id} resumes {where}", soft_wrap=True)


def print_worth(screen: Console, sentence: str, doubts: Sequence[str]) -> None:
    """Prints what an alert is worth on validation; all of it in red where there are doubts."""
    _print_doubts(screen, doubts)
    start, end = ("[bold red]", "[/]") if doubts else ("", "")
    screen.print(f"{start}{escape(sentence)}{end}", soft_wrap=True)


def _print_doubts(screen: Console, doubts: Sequence[str]) -> None:
    for line in doubts:
        screen.print(f"[bold red]WARNING {escape(line)}[/]", soft_wrap=True)


def print_result(
    screen: Console,
    scores: Mapping[str, Mapping[str, float]],
    confidence: float,
    mark: str,
) -> None:
    """Prints the headline metrics of each part side by side.

    Args:
        screen: Where to.
        scores: For each part its metrics; those that have a `<name>_low` and `<name>_high` are
            shown, with these as interval.
        confidence: Of the intervals.
        mark: A warning beside every metric, or "".
    """
    table = Table(title=f"Result{f' ({mark})' if mark else ''}", title_justify="left")
    table.add_column(f"metric ({100 * confidence:g} % interval)")
    for part in scores:
        table.add_column({"val": "validation"}.get(part, part), justify="right")
    shown = next(iter(scores.values()))
    for name in (name for name in shown if f"{name}_low" in shown):
        table.add_row(name, *(_with_interval(figures, name) for figures in scores.values()))
    screen.print(table)


def print_end(screen: Console, lines: Sequence[str]) -> None:
    """Prints what a command ends with: what it took, what to do next, what its figures are not."""
    for line in (*lines, DISCLAIMER):
        screen.print(line, soft_wrap=True)


def _with_interval(figures: Mapping[str, float], name: str) -> str:
    value, low, high = (figures.get(f"{name}{end}", math.nan) for end in ("", "_low", "_high"))
    if math.isnan(value):
        return "-"
    return f"{value:.3f}" if math.isnan(low) else f"{value:.3f} ({low:.3f}-{high:.3f})"


class Screen(ProgressListener):
    """Shows training as one line that moves in a terminal, and as plain lines elsewhere."""

    def __init__(self, screen: Console, epochs: int, steps: int) -> None:
        """Prepares the line.

        Args:
            screen: Where to.
            epochs: Expected epochs.
            steps: Steps an epoch.
        """
        self._screen, self._epochs, self._steps = screen, epochs, steps
        self._start = self._printed = time.monotonic()
        self._first: int | None = None  # steps done before this process resumed the run
        self._advised = False
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f} accuracy {task.fields[accuracy]:.3f}"),
            TimeRemainingColumn(),
            console=screen,
            transient=True,
            disable=not screen.is_terminal,
        )
        self._task = self._bar.add_task(
            "", total=epochs * steps, epoch=1, epochs=epochs, loss=0.0, accuracy=0.0
        )

    def __enter__(self) -> "Screen":
        """Shows the line."""
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Removes the line."""
        self._bar.stop()

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Moves the line."""
        done = (epoch - 1) * self._steps + step
        if self._first is None:
            self._first = done - 1
            self._bar.reset(self._task, completed=self._first)
        self._bar.update(self._task, completed=done, epoch=epoch, loss=loss, accuracy=accuracy)
        if not self._screen.is_terminal and time.monotonic() - self._printed > PLAIN_EVERY:
            figures = f"loss {loss:.3f} accuracy {accuracy:.3f}"
            self._print(epoch, f"step {step}/{self._steps} {figures}", step)

    def epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Prints the epoch's metrics."""
        shown = [f"{k} {v:.3f}" for k, v in figures.items() if k.split("/")[0] in ("train", "val")]
        shown.append(f"{figures['images_per_second']:.0f} images/s")
        waited = figures.get("data/wait_share", 0.0)
        if waited > REPORTED_WAIT:
            shown.append(f"waited for data {waited:.0%}")
        self._print(epoch, "  ".join(shown), self._steps)
        if waited > REPORTED_WAIT and not self._advised:
            self._advised = True
            self._screen.print(f"[yellow]note[/] {ADVICE}", soft_wrap=True)

    def warn(self, line: str) -> None:
        """Prints a warning."""
        self._screen.print(f"[yellow]warning[/] {line}", soft_wrap=True)

    def _print(self, epoch: int, text: str, step: int) -> None:
        self._printed = time.monotonic()
        done = (epoch - 1) * self._steps + step
        line = f"epoch {epoch}/{self._epochs}  {text}"
        if self._first is not None:  # else only an epoch's validation was left to do
            passed = self._printed - self._start
            left = passed / (done - self._first) * (self._epochs * self._steps - done)
            line += f"  {left / 60:.0f} min left" if left >= 90 else f"  {left:.0f} s left"
        self._screen.print(line, soft_wrap=True)

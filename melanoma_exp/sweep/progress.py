"""The progress of a sweep: a live table in a terminal, a line an event elsewhere."""

import re
import time
from collections import Counter
from collections.abc import Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.sweep.folder import LOG, Job, Status, Sweep
from melanoma_exp.sweep.queue import Queue
from melanoma_exp.system.shown import escape

EPOCH = re.compile(r"epoch (\d+)/(\d+) ")
ROWS = 12  # most running jobs that are shown
STYLES = {"finished": "green", "pruned": "dim", "waiting": "dim", "running": "default"}


class Progress:
    """Shows done, failed and running jobs, the time left, and the best so far."""

    def __init__(self, screen: Console, sweep: Sweep, queue: Queue, slots: int) -> None:
        """Prepares.

        Args:
            screen: Where to.
            sweep: With the jobs it has so far, finished ones of earlier starts included.
            queue: Gives the jobs that are run now.
            slots: How many may run at once.
        """
        self._screen, self._queue, self._slots = screen, queue, slots
        self._objective, jobs = sweep.objective, sweep.jobs
        self._jobs = {job.number: job for job in jobs}
        self._running: dict[int, float] = {}  # job's number: monotonic second of its start
        self._statuses = {job.number: job.status() for job in jobs}
        self._seconds: list[float] = []  # of jobs that have finished since this start
        self._live = Live(console=screen, auto_refresh=False, transient=True)

    def __enter__(self) -> "Progress":
        """Shows the table where there is a terminal."""
        if self._screen.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Removes the table."""
        self._live.stop()

    def started(self, job: Job) -> None:
        """Prints a line, where there is no terminal."""
        self._jobs[job.number] = job
        self._running[job.number] = time.monotonic()
        self._statuses[job.number] = Status("running")
        if not self._screen.is_terminal:
            line = f"job {job.number} starts: {escape(job.name)} ({job.folder / LOG})"
            self._screen.print(line, soft_wrap=True)

    def ended(self, job: Job) -> None:
        """Prints how it ended, how many are left and which is best."""
        seconds = time.monotonic() - self._running.pop(job.number)
        status = self._statuses[job.number] = job.status()
        if status.is_done:
            self._seconds.append(seconds)
        end = describe(status, self._objective)
        line = f"job {job.number} {end} after {_duration(seconds)}: {escape(job.name)}"
        self._screen.print(line, soft_wrap=True, style=STYLES.get(status.state, "red"))
        if not self._screen.is_terminal:
            self._screen.print(self._summary(), soft_wrap=True)

    def tick(self) -> None:
        """Redraws the table."""
        if self._screen.is_terminal:
            self._live.update(Group(self._table(), Text(self._summary())), refresh=True)

    def _table(self) -> Table:
        table = Table(box=None, pad_edge=False, show_header=False)
        for _ in range(3):
            table.add_column(no_wrap=True, overflow="ellipsis")
        shown = [self._jobs[number] for number in sorted(self._running)]
        for job in shown[:ROWS]:
            last = next((x for x in reversed(job.last_lines()) if EPOCH.match(x)), "starting")
            table.add_row(f"job {job.number}", escape(job.name), escape(last))
        if len(shown) > ROWS:
            table.add_row("", f"and {len(shown) - ROWS} more", "")
        return table

    def _summary(self) -> str:
        counts = Counter(status.state for status in self._statuses.values())
        done = counts["finished"] + counts["pruned"]
        failed = sum(counts.values()) - done - counts["running"] - counts["waiting"]
        parts = [f"{done} of {len(self._jobs) + self._queue.to_come} done"]
        parts += [f"{counts['pruned']} of them pruned"] if counts["pruned"] else []
        parts += [f"{failed} failed", f"{counts['running']} running"]
        left = counts["running"] + counts["waiting"] + self._queue.to_come
        if self._seconds and left:
            parts.append(f"about {_duration(self._seconds_left())} left")
        jobs = [(job, self._statuses[n]) for n, job in self._jobs.items()]
        best = find_best(jobs, self._objective)
        if best is not None:
            job, status = best
            parts.append(f"best so far: job {job.number} {describe(status, self._objective)}")
        return ", ".join(parts)

    def _seconds_left(self) -> float:
        """Returns the mean duration times the jobs left, divided by the slots."""
        mean = sum(self._seconds) / len(self._seconds)
        now = time.monotonic()
        states = [status.state for status in self._statuses.values()]
        waiting = states.count("waiting") + self._queue.to_come
        partial = sum(max(0.0, mean - (now - start)) for start in self._running.values())
        return (waiting * mean + partial) / max(1, min(self._slots, waiting + len(self._running)))


def find_best(
    jobs: Sequence[tuple[Job, Status]], objective: Objective
) -> tuple[Job, Status] | None:
    """Returns the finished job with the best score.

    A leaky one is never the best, and there is none among jobs that validate on different images:
    an easy fold is no better network.
    """
    words = ("split.fold=", "split.seed=")
    folds = {tuple(w for w in job.overrides if w.startswith(words)) for job, _ in jobs}
    if len(folds) > 1:
        return None
    honest = [
        (job, status)
        for job, status in jobs
        if status.state == "finished" and status.score is not None and not status.leaky
    ]
    best = max if objective.higher_is_better else min
    return best(honest, key=lambda pair: pair[1].score or 0.0, default=None)


def describe(status: Status, objective: Objective) -> str:
    """Returns how a job ended, with its score and whether that is leaky."""
    if status.state != "finished" or status.score is None:
        return status.state
    return f"finished, {objective.label} {status.score:.3f}{' (leaky)' * status.leaky}"


def print_failures(screen: Console, jobs: Sequence[Job]) -> None:
    """Prints the last line of each job that did not finish, and where its log is."""
    screen.print("[bold]not finished[/]")
    for job in jobs:
        last = job.last_lines()
        screen.print(
            f"job {job.number}  [red]{job.status().state}[/]  {escape(job.name)}", soft_wrap=True
        )
        screen.print(f"    {escape(last[-1]) if last else 'it printed nothing'}", soft_wrap=True)
        screen.print(f"    log: {escape(str(job.folder / LOG))}", soft_wrap=True)


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"

"""The comparison in a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.comparison.table import SECONDS, mark, metrics, shown
from melanoma_exp.report.console import DISCLAIMER

STYLES = {"best": "bold green", "leaky": "yellow", "": ""}


def show(screen: Console, found: Comparison) -> None:
    """Prints table, verdict and caveats.

    Args:
        screen: Where to.
        found: What to show.
    """
    question = found.question
    order = f"{PARTS[question.part]} {question.metric.replace('_', ' ')}"
    if question.metric == "seconds":
        order = "training time"
    title = f"{escape(found.title)}: {len(found.rows)} rows, ordered by {order}"
    names = metrics(question.alert, question.metric)
    screen.print(f"[bold]{title}[/]")
    for row in found.rows:
        marked = mark(row, found.best)
        style = STYLES[marked] or "default"
        runs = f"{len(row.runs)} run{'s' * (len(row.runs) > 1)}"
        line = f"{row.letter:>3}  {escape(row.label)} ({runs}) [{style}]{marked}[/]"
        screen.print(line, soft_wrap=True)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", justify="right", min_width=3)
    table.add_column("part")
    for name in names.values():
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    table.add_column("training\nseconds", justify="right")
    for row in found.rows:
        for k, part in enumerate(tested.part for tested in found.tested):
            cells = [shown(row.mean(f"final/{part}/{metric}")) for metric in names]
            start, end = ("", "") if k else (row.letter, shown(row.mean(SECONDS), 0))
            table.add_row(start, part, *cells, end, style=STYLES[mark(row, found.best)])
    screen.print(table)
    screen.print("± is half of a 95 % t interval over the runs of a row; a single run has none.\n")
    lines = [f"[bold]{escape(found.verdict.headline)}[/]"]
    lines += [escape(line) for line in found.verdict.answers]
    lines += [f"- {escape(line)}" for line in found.verdict.caveats]
    lines += [f"[yellow]left out[/] {escape(line)}" for line in found.left_out]
    for line in (*lines, DISCLAIMER):
        screen.print(line, soft_wrap=True)

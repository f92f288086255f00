"""The comparison in a terminal."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.reading import PARTS
from melanoma_exp.comparison.table import SECONDS, figures, mark, shown
from melanoma_exp.report import DISCLAIMER

STYLES = {"best": "bold green", "leaky": "yellow", "": ""}


def show(screen: Console, found: Comparison) -> None:
    """Prints table, verdict and cautions.

    Args:
        screen: Where to.
        found: What to show.
    """
    question = found.question
    order = f"{PARTS[question.part]} {question.metric.replace('_', ' ')}"
    if question.metric == "seconds":
        order = "seconds of training"
    title = f"{escape(found.title)}: {len(found.rows)} rows, ordered by {order}"
    names = figures(question.alert)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, row_styles=["", ""])
    for head in ("", "setup"):
        table.add_column(head, overflow="fold")
    table.add_column("n", justify="right")
    table.add_column("part")
    for name in names.values():
        table.add_column(name.replace("balanced accuracy", "balanced\naccuracy"), justify="right")
    table.add_column("train\nseconds", justify="right")
    parts = [tested.part for tested in found.tested]
    for row in found.rows:
        told = mark(row, found.best)
        label = escape(row.label) + (f" [{told}]".replace("[", r"\[") if told else "")
        for k, part in enumerate(parts):
            cells = [shown(row.mean(f"final/{part}/{figure}")).lstrip() for figure in names]
            first = [row.letter, label, str(len(row.runs))] if not k else ["", "", ""]
            last = shown(row.mean(SECONDS), 0) if not k else ""
            table.add_row(*first, part, *cells, last, style=STYLES[told])
    screen.print(table)
    screen.print("± is half a 95 % interval over the n runs of a row; one run has none.\n")
    lines = [f"[bold]{escape(found.verdict.headline)}[/]"]
    lines += [f"- {escape(line)}" for line in found.verdict.cautions]
    lines += [f"[yellow]left out[/] {escape(line)}" for line in found.left_out]
    for line in (*lines, DISCLAIMER):
        screen.print(line)

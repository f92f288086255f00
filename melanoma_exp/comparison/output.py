"""The comparison in a terminal and as files."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from melanoma_exp.comparison import comparison_html, table
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.report.console import DISCLAIMER
from melanoma_exp.spec import UserError
from melanoma_exp.system import files
from melanoma_exp.system.shown import escape
from melanoma_exp.tracking.archive import Archive

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
    names = table.metrics(question.alert, question.metric)
    screen.print(f"[bold]{title}[/]")
    for row in found.rows:
        marked = table.mark(row, found.best)
        style = STYLES[marked] or "default"
        runs = f"{len(row.runs)} run{'s' * (len(row.runs) > 1)}"
        line = f"{row.letter:>3}  {escape(row.label)} ({runs}) [{style}]{marked}[/]"
        screen.print(line, soft_wrap=True)
    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("", justify="right", min_width=3)
    grid.add_column("part")
    for name in names.values():
        grid.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    grid.add_column("training\nseconds", justify="right")
    for row in found.rows:
        for k, part in enumerate(tested.part for tested in found.tested):
            cells = [table.shown(row.mean(f"final/{part}/{metric}")) for metric in names]
            start, end = ("", "") if k else (row.letter, table.shown(row.mean(table.SECONDS), 0))
            grid.add_row(start, part, *cells, end, style=STYLES[table.mark(row, found.best)])
    screen.print(grid)
    screen.print("± is half of a 95 % t interval over the runs of a row; a single run has none.\n")
    lines = [f"[bold]{escape(found.verdict.headline)}[/]"]
    lines += [escape(line) for line in found.verdict.answers]
    lines += [f"- {escape(line)}" for line in found.verdict.caveats]
    lines += [f"[yellow]left out[/] {escape(line)}" for line in found.left_out]
    for line in (*lines, DISCLAIMER):
        screen.print(line, soft_wrap=True)


def write(archive: Archive, found: Comparison, out: Path, images: int, cache: Path) -> None:
    """Writes `comparison.html`, `comparison.csv` and `comparison.md`, replacing earlier ones.

    Args:
        archive: Where curves are read from.
        found: What to show.
        out: The folder, made where there is none.
        images: Pictures on the page at most.
        cache: Holds generated datasets.

    Raises:
        UserError: The folder cannot be written.
    """
    order = found.question.alert, found.question.metric
    texts = {
        "comparison.html": comparison_html.render(archive, found, images, cache),
        "comparison.csv": table.to_csv(found.rows, found.best, *order, found.parts),
        "comparison.md": table.to_markdown(found.rows, found.best, *order, found.parts),
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, text in texts.items():
            files.write(out / name, text)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from error

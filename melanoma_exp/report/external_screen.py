"""The plan of an evaluation on another set, on the screen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from melanoma_exp.system.shown import escape


@dataclass(frozen=True)
class ClassRow:
    """A class of the set: what it is to the run, how that is known, and how many images it has."""

    name: str
    target: str
    why: str
    images: int
    seen: int
    judged: int


def print_plan(
    screen: Console,
    classes: Sequence[ClassRow],
    overlap: Mapping[str, int],
    facts: Mapping[str, str],
    notes: Sequence[str],
) -> None:
    """Prints what is judged and what is left out, before anything is predicted.

    Args:
        screen: Where to.
        classes: Of the set.
        overlap: Images by what the run has seen of them, in words.
        facts: Lines of name and value, in order.
        notes: What a reader should know before relying on the result.
    """
    table = Table(title="Classes", title_justify="left", show_footer=True)
    numbers = [(row.images, row.seen, row.judged) for row in classes]
    totals = [str(sum(column)) for column in zip(*numbers, strict=True)]
    table.add_column("class of the set", footer="all")
    table.add_column("class of the run")
    table.add_column("known by")
    for head, total in zip(("images", "seen by the run", "judged"), totals, strict=True):
        table.add_column(head, footer=total, justify="right")
    for row in classes:
        texts = (escape(text) for text in (row.name, row.target, row.why))
        table.add_row(*texts, *map(str, (row.images, row.seen, row.judged)))
    screen.print(table)
    width = max(map(len, (*facts, "overlap")))
    for name, value in facts.items():
        screen.print(f"[bold]{name:<{width}}[/] {escape(value)}", soft_wrap=True)
    for meaning, count in overlap.items():
        screen.print(f"[bold]{'overlap':<{width}}[/] {count} {escape(meaning)}", soft_wrap=True)
    for note in notes:
        screen.print(f"[yellow]{'note':<{width}}[/] {escape(note)}", soft_wrap=True)

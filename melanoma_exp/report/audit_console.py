"""Terminal output of an audit: what was found, and how often each class has which marker."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from melanoma_exp.data.audit.findings import Finding
from melanoma_exp.data.audit.markers.found import Markers
from melanoma_exp.data.audit.markers.per_class import shortcuts
from melanoma_exp.system.shown import escape

EXAMPLE = 3  # images of a finding that are named


def print_audit(
    screen: Console,
    kinds: Mapping[str, str],
    findings: Sequence[Finding],
    images: int,
    notes: Sequence[str],
) -> None:
    """Prints the number of findings of each kind and detail, with an example.

    Args:
        screen: Where to.
        kinds: What each kind of finding means, most serious first.
        findings: All of them.
        images: How many images were checked.
        notes: What else a reader should know.
    """
    table = Table(title=f"Audit of {images} images", title_justify="left")
    for head in ("finding", "number", "of these", "for example"):
        table.add_column(head, justify="right" if head == "number" else "left", overflow="fold")
    for kind, meaning in kinds.items():
        found = [finding for finding in findings if finding.kind == kind]
        sorts = Counter(finding.detail for finding in found).most_common()
        example = [escape(name) for name in found[0].ids[:EXAMPLE]] if found else []
        more = len(found[0].ids) - EXAMPLE if found else 0
        table.add_row(
            f"[bold]{kind}[/]\n{meaning}",
            str(len(found)),
            "\n".join(f"{n} {sort}" for sort, n in sorts),
            "\n".join([*example, *([f"and {more} more"] * (more > 0))]),
        )
    screen.print(table)
    for note in notes:
        screen.print(f"[yellow]note[/] {escape(note)}", soft_wrap=True)


def print_markers(screen: Console, markers: Markers) -> None:
    """Prints which share of each class's lesions has which marker, and what may be a shortcut.

    Args:
        screen: Where to.
        markers: What was found.
    """
    table = Table(title="Lesions with a marker, of each class", title_justify="left")
    table.add_column("class", overflow="fold")
    table.add_column("lesions", justify="right")
    for name in markers.names:
        table.add_column(name, justify="right")
    for label in dict.fromkeys(one.label for one in markers.counts):
        mine = [one for one in markers.counts if one.label == label]
        shares = [f"{one.share:.1%}" if one.marked else "" for one in mine]
        table.add_row(escape(label), str(mine[0].lesions), *shares)
    screen.print(table)
    for sentence in shortcuts(markers.counts):
        screen.print(f"[yellow]shortcut?[/] {escape(sentence)}", soft_wrap=True)

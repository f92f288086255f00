"""The comparison as one self-contained HTML page."""

import math
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from melanoma_exp import __version__
from melanoma_exp.comparison import cost, disagreement, per_class, rows, table
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.pairing import Tested, format_p
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.comparison.verdict import signed
from melanoma_exp.data.class_names import short_names
from melanoma_exp.report import console, figures
from melanoma_exp.system.html import templates
from melanoma_exp.tracking.archive import Archive

ROWS = 8  # drawn; the table has all
CURVES = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")


def render(archive: Archive, found: Comparison, images: int, cache: Path) -> str:
    """Returns the page.

    Args:
        archive: Where curves and configs are read from.
        found: What to show.
        images: Pictures at most.
        cache: Holds generated datasets.
    """
    environment = templates(Path(__file__).parent)
    environment.filters |= {
        "bound": _bound,
        "value": _value,
        "count": _count,
        "percent": _percent,
        "signed": signed,
        "p": format_p,
        "raised": lambda text: text[:1].upper() + text[1:],
    }
    drawn = found.rows[:ROWS]
    return environment.get_template("comparison.html.j2").render(
        found=found,
        drawn=drawn,
        colour={row.letter: k for k, row in enumerate(drawn)},
        metrics=table.metrics(found.question.alert, found.question.metric),
        shown=table.shown,
        mark=lambda row: table.mark(row, found.best),
        parts=[t.part for t in found.tested],
        part_name=PARTS,
        seconds=table.SECONDS,
        differences=rows.differences(found.rows),
        charts=figures.comparison_charts(_curves(archive, drawn)),
        per_class=[content for t in found.tested if (content := _per_class(found, t))],
        short=short_names(found.classes),
        outcomes=_outcomes(found),
        disputed=_disputed(archive, found, images, cache),
        costs=[cost.of_row(archive, row) for row in drawn],
        nan=math.isnan,
        made=date.today().isoformat(),
        version=__version__,
        disclaimer=console.DISCLAIMER,
    )


def _curves(archive: Archive, drawn: Sequence[rows.Row]) -> list[figures.SetupCurves]:
    return [
        figures.SetupCurves(
            row.letter,
            row.label,
            {key: [archive.series(run.stored.id, key) for run in row.runs] for key in CURVES},
        )
        for row in drawn
    ]


def _per_class(found: Comparison, tested: Tested) -> dict[str, Any]:
    """Returns the confusions of a part and the images a class, empty where no row has the part."""
    counted = per_class.confusions(found.rows[:ROWS], tested.part, len(found.classes))
    if not counted:
        return {}
    reference = next((c for c in counted if not c.row.leaky), counted[0])
    per_run = reference.count.sum(axis=1) / len(reference.row.runs)
    return {
        "part": tested.part,
        "confusions": counted,
        "n": [f"{n:.0f}" for n in per_run],
        "alike": {
            c.row.letter
            for c in counted
            if np.array_equal(c.count.sum(axis=1) / len(c.row.runs), per_run)
        },
    }


def _outcomes(found: Comparison) -> list[dict[str, Any]]:
    """Returns the tested pairs for each part and metric."""
    title = found.question.title
    tables = []
    for tested in found.tested:
        names = dict.fromkeys(name for pair in tested.pairs for name in pair.outcomes)
        for name in names:
            pairs = [pair for pair in tested.pairs if name in pair.outcomes]
            tables.append(
                {"part": tested.part, "metric": name, "words": title(name), "pairs": pairs}
            )
    return tables


def _disputed(archive: Archive, found: Comparison, images: int, cache: Path) -> dict[str, Any]:
    """Returns the validation images on which rows disagree, with pictures where available."""
    tested = found.tested[0]
    _, names = rows.alerted(found.rows[0].runs[0])
    positive = [k for k, name in enumerate(found.classes) if name in names]
    total, some = disagreement.find(tested, positive, images)
    pictures: dict[str, str] = {}
    reason = ""
    if some and tested.part == "external":
        reason = "they are of the set that the runs were judged on"
    elif some:
        ids = [image.id for image in some]
        pictures, reason = disagreement.pictures(archive, tested, ids, cache)
    letters = [row.letter for row, _ in tested.rows[: disagreement.ROWS]]
    return {
        "total": total,
        "images": some,
        "pictures": pictures,
        "reason": reason,
        "letters": letters,
        "all": len(tested.rows[0][1].ids) if tested.rows else 0,
    }


def _bound(text: str) -> str:
    """Keeps numbers with their percent sign, equations and `p =` on one line."""
    for sign in ("%", "=", "−", "<"):
        text = text.replace(f" {sign}", f"\u00a0{sign}")
    text = text.replace("\u00a0% interval", "\u00a0%\u00a0interval")
    return text.replace("= ", "=\u00a0").replace("− ", "−\u00a0").replace("< ", "<\u00a0")


def _value(number: float, digits: int = 3) -> str:
    return "–" if math.isnan(number) else f"{number:.{digits}f}".replace("-", "−")


def _count(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:,.0f}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.0f}"

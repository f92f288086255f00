"""Forest plots: setups against a reference, paired, with intervals."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import figures
import numpy as np
from matplotlib.axes import Axes

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.pairing import Outcome, Tested
from melanoma_exp.comparison.rows import Row
from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    SMALL,
    WIDTH,
    new_figure,
    plain_axes,
    save,
)

FIGURES: dict[str, figures.Figure] = {
    "balanced accuracy": figures.balanced_accuracy,
    "macro AUC": figures.macro_auc,
    "specificity at 95 %\nmelanoma sensitivity": figures.specificity_at_95,
}


def draw_recipes_against(
    reference: str, comparisons: Sequence[Comparison], path: Path
) -> list[str]:
    """Draws what each recipe reaches, and its paired difference to a reference.

    Args:
        reference: The name of that setup.
        comparisons: One, of the setups tested against it.
        path: Of the figure.

    Returns:
        A line for each recipe: what it reaches, and the CPU-minutes of one training.
    """
    (compared,) = comparisons
    rows = list(compared.rows)
    figure = new_figure(WIDTH, 1.1 + 0.34 * len(rows))
    panels = figure.subplots(1, len(FIGURES) + 1, sharey=True, width_ratios=(3, 3, 3, 4))
    for axes, (title, computed) in zip(panels, FIGURES.items(), strict=False):
        _draw_figure(axes, rows, computed, title)
    _draw_differences(panels[-1], rows, compared.tested, reference)
    panels[0].set_yticks(range(len(rows)), [setup(row) for row in rows], fontsize=BODY)
    panels[0].invert_yaxis()
    save(figure, path)
    return [_in_words(row) for row in rows]


def _draw_figure(axes: Axes, rows: Sequence[Row], computed: figures.Figure, title: str) -> None:
    for y, row in enumerate(rows):
        values = figures.values(row, computed)
        mean = float(np.mean(values))
        axes.plot(values, [y] * len(values), "o", ms=3, color=GREY, alpha=0.6)
        axes.plot([mean], [y], "|", ms=12, color=BLUE, mew=2)
        place = {"xytext": (0, 8), "textcoords": "offset points", "ha": "center"}
        axes.annotate(f"{mean:.3f}", (mean, y), fontsize=SMALL, color=BLUE, **place)
    axes.set_title(title, fontsize=BODY, loc="left")
    axes.set_ylim(-0.7, len(rows) - 0.4)
    axes.margins(x=0.15)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    plain_axes(axes)


def _draw_differences(
    axes: Axes, rows: Sequence[Row], tested: Sequence[Tested], reference: str
) -> None:
    """Draws estimates with 95 % intervals; filled where significant after Holm."""
    for y, (row, one) in enumerate(_outcomes(rows, tested, reference)):
        if one is None:
            word = "reference" if setup(row) == reference else "not tested"
            axes.annotate(word, (0, y), xytext=(4, 0), textcoords="offset points", fontsize=SMALL)
            continue
        fill = BLUE if one.significant else "white"
        axes.plot([one.low, one.high], [y, y], color=BLUE, lw=1.4)
        axes.plot([one.estimate], [y], "o", ms=6, color=BLUE, mfc=fill)
    axes.axvline(0, color=GREY, lw=0.8)
    title = f"balanced accuracy less {reference}'s,\n95 % (filled: Holm's p < .05)"
    axes.set_title(title, fontsize=BODY, loc="left")
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    plain_axes(axes)


def _outcomes(
    rows: Sequence[Row], tested: Sequence[Tested], reference: str
) -> list[tuple[Row, Outcome | None]]:
    """Returns for each row its difference to the reference on validation, None for itself."""
    val = next(one for one in tested if one.part == "val")
    base = next(row for row in rows if setup(row) == reference)
    found: list[tuple[Row, Outcome | None]] = []
    for row in rows:
        ahead, behind = val.pair(row, base), val.pair(base, row)
        pair = ahead or behind
        one = pair.outcomes.get("balanced_accuracy") if pair else None
        if one is not None and not ahead:  # the pair is the other way round
            one = replace(one, estimate=-one.estimate, low=-one.high, high=-one.low)
        found.append((row, one))
    return found


def _in_words(row: Row) -> str:
    means = [f"{name} {np.mean(figures.values(row, one)):.3f}" for name, one in FIGURES.items()]
    cpu = np.nanmean([run.metric("seconds/fit_cpu") for run in row.runs]) / 60
    shown = ", ".join(means).replace("\n", " ")
    whose = (
        "of all its members" if row.runs[0].stored.params["split.kind"] == "members" else "a fold"
    )
    return f"{setup(row)}: {shown}; {cpu:.1f} CPU-minutes of training {whose}."


def setup(row: Row) -> str:
    """Returns the name of the setup: its runs' names without the fold and the seed."""
    return re.sub(r"(-fold\d+|-s\d+)+$", "", row.runs[0].stored.name)

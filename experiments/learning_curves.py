"""How much each way of training reaches with how many images of a class."""

from collections.abc import Sequence
from pathlib import Path

import figures
import numpy as np
from forest import setup

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.rows import Row
from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREEN,
    ORANGE,
    SMALL,
    WIDTH,
    new_figure,
    plain_axes,
    save,
)

FIGURES: dict[str, figures.Figure] = {
    "balanced accuracy\n(most probable class)": figures.balanced_accuracy_argmax,
    "macro AUC": figures.macro_auc,
    "specificity at 95 %\nmelanoma sensitivity": figures.specificity_at_95,
}
COLOURS = {"scratch": ORANGE, "features": GREEN, "transfer": BLUE}


def draw_curves(comparisons: Sequence[Comparison], path: Path) -> list[str]:
    """Draws a line for each way of training, a point a fold beside it.

    Args:
        comparisons: One for each number of images, of setups named like `scratch-30`, or
            `scratch` with all images.
        path: Of the figure.

    Returns:
        A line for each setup: what it reaches and the CPU-minutes of one training.
    """
    rows = {setup(row): row for compared in comparisons for row in compared.rows}
    names = sorted(rows, key=_images)
    counts = list(dict.fromkeys(name.partition("-")[2] for name in names))
    figure = new_figure(WIDTH, 3.2)
    panels = figure.subplots(1, len(FIGURES))
    for axes, (title, computed) in zip(panels, FIGURES.items(), strict=True):
        for way, colour in COLOURS.items():
            setups = [name for name in names if name.partition("-")[0] == way]
            values = [figures.values(rows[name], computed) for name in setups]
            for x, found in enumerate(values):
                axes.plot([x] * len(found), found, "o", ms=3, color=colour, alpha=0.5)
            axes.plot([np.mean(found) for found in values], color=colour, lw=1.8, label=way)
        axes.set_xticks(range(len(counts)), [count or "all" for count in counts], fontsize=BODY)
        axes.set_title(title, fontsize=BODY, loc="left")
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        plain_axes(axes)
    panels[0].legend(frameon=False, fontsize=SMALL)
    figure.supxlabel("training images of a class, at most", fontsize=BODY)
    save(figure, path)
    return [_in_words(name, rows[name]) for name in names]


def _images(name: str) -> tuple[float, str]:
    count = name.partition("-")[2]
    return (float(count) if count.isdecimal() else np.inf), name


def _in_words(name: str, row: Row) -> str:
    means = [f"{title} {np.mean(figures.values(row, one)):.3f}" for title, one in FIGURES.items()]
    cpu = np.nanmean([run.metric("seconds/fit_cpu") for run in row.runs]) / 60
    return f"{name}: {', '.join(means)}; {cpu:.1f} CPU-minutes a training.".replace("\n", " ")

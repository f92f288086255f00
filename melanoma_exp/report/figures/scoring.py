"""Figures about predictions: confusion matrices and the scores of each class."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREEN,
    GREY,
    NAME_WIDTH,
    SMALL,
    TITLE,
    VERMILLION,
    WIDTH,
    new_figure,
    plain_axes,
    wrap,
)

if TYPE_CHECKING:
    from melanoma_exp.evaluation.metrics.interval import Estimate


def confusion(matrix: NDArray[np.integer[Any]], classes: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix twice: as counts and as per cent of each true class.

    The labels of the right panel are the row totals. A row without images shows "-" there. The
    left panel is coloured up to its largest count, the right one up to 100 per cent.

    Args:
        matrix: Shape (c, c), counts of 0 or more: true class by row, predicted by column.
        classes: The c class names.
        title: What the matrix was measured on.

    Raises:
        ValueError: The matrix has another shape.
    """
    counts = np.asarray(matrix, dtype=np.int64)  # 100 times a count must not overflow
    size = len(classes)
    if counts.shape != (size, size):
        raise ValueError(f"the matrix has the shape {counts.shape}, not {(size, size)}")
    totals = counts.sum(axis=1)
    share = np.full(counts.shape, np.nan)
    np.divide(100 * counts, totals[:, None], out=share, where=totals[:, None] > 0)

    side = min(0.7, 5.1 / (2 * size))
    width = 2 * size * side + 1.9
    names = [wrap(name, 1.15, SMALL) for name in classes]
    heading = wrap(title, width - 0.2, TITLE)
    longest = max(len(line) for name in names for line in name.split("\n"))
    below = longest * 0.6 * SMALL / 72
    figure = new_figure(
        width, size * side + below + 0.65 + 0.16 * (heading.count("\n") + 1), fixed_aspect=True
    )
    left, right = figure.subplots(1, 2)
    largest = max(1, int(counts.max()))
    _heat(left, counts.astype(float), largest, [[f"{n}" for n in row] for row in counts], side)
    _heat(right, share, 100, [[_per_cent(value) for value in row] for row in share], side)
    for axes, rows, panel in (
        (left, names, "Images"),
        (right, [f"n = {total}" for total in totals], "Per cent of the true class"),
    ):
        axes.set_title(panel, fontsize=BODY)
        axes.set_xticks(range(size), names, rotation=90, fontsize=SMALL)
        axes.set_yticks(range(size), rows, fontsize=SMALL)
        axes.set_xlabel("predicted class", fontsize=BODY)
    left.set_ylabel("true class", fontsize=BODY)
    figure.suptitle(heading, fontsize=TITLE, fontweight="bold")
    return figure


def class_scores(
    classes: Sequence[str],
    support: NDArray[np.integer[Any]],
    figures: Mapping[str, "Estimate"],
    title: str,
) -> Figure:
    """Draw figures of each class as dots with their intervals, values at the right.

    Args:
        classes: The c class names.
        support: Shape (c,), true images of each class, 0 or more.
        figures: By name, a panel each: estimates of the shape (c,), 0 to 1. NaN is undefined: no
            dot and written "-"; an interval of NaN is not drawn.
        title: What they were measured on.

    Raises:
        ValueError: The lengths differ.
    """
    rows = np.arange(len(classes))
    figure = new_figure(WIDTH, 0.25 * len(rows) + 0.95)
    names = [
        wrap(f"{name} (n\u00a0=\u00a0{total})", 1.25 * NAME_WIDTH, BODY)
        for name, total in zip(classes, support, strict=True)
    ]
    panels = figure.subplots(1, len(figures), sharey=True, squeeze=False)[0]
    for axes, (name, found), colour in zip(
        panels, figures.items(), (BLUE, VERMILLION, GREEN), strict=False
    ):
        if found.value.shape != rows.shape:
            raise ValueError(f"{name} has the shape {found.value.shape}, not {rows.shape}")
        axes.hlines(rows, 0, 1, color=FAINT, linewidth=0.8, zorder=0)
        axes.hlines(rows, found.low, found.high, color=colour, linewidth=1.4, zorder=1)
        axes.scatter(found.value, rows, s=22, color=colour, zorder=2, clip_on=False)
        for row, value in enumerate(found.value):
            axes.annotate(
                "-" if np.isnan(value) else f"{value:.2f}",
                (1, row),
                (17, 0),
                xycoords=axes.get_yaxis_transform(),
                textcoords="offset points",
                ha="center",
                va="center_baseline",
                fontsize=BODY,
                color=colour,
                annotation_clip=False,
            )
        plain_axes(axes, frame=("bottom",))
        axes.tick_params(axis="y", length=0, pad=7)
        axes.set(xlim=(0, 1), ylim=(len(rows) - 0.5, -0.5))
        axes.set_xticks([0, 0.5, 1], ["0", "0.5", "1"])
        axes.set_title(name, fontsize=TITLE, color=colour)
    panels[0].set_yticks(rows, names)
    figure.suptitle(title, fontsize=TITLE, fontweight="bold")
    return figure


def _heat(
    axes: Axes, values: NDArray[np.float64], top: float, texts: list[list[str]], side: float
) -> None:
    """Draw cells `side` inches wide, coloured from 0 to `top`, with their texts."""
    colours = matplotlib.colormaps["Blues"].with_extremes(bad=FAINT)
    image = axes.imshow(values, cmap=colours, vmin=0, vmax=top, interpolation="nearest")
    plain_axes(axes, frame=())
    edges = np.arange(0.5, len(values) - 1)
    axes.set_xticks(edges, minor=True)
    axes.set_yticks(edges, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    widest = max(len(text) for row in texts for text in row)
    points = min(BODY, side * 72 / (0.68 * widest))
    # Relative luminance, by the usual weights of red, green and blue in linear light.
    light = image.to_rgba(values)[..., :3] ** 2.2 @ np.array((0.2126, 0.7152, 0.0722))
    for row, line in enumerate(texts):
        for column, text in enumerate(line):
            colour = "white" if light[row, column] < 0.25 else GREY if text == "0" else "black"
            axes.text(
                column,
                row,
                text,
                ha="center",
                va="center_baseline",
                fontsize=points,
                color=colour,
            )


def _per_cent(value: float) -> str:
    if np.isnan(value):
        return "-"
    return "<1" if 0 < value < 0.5 else f"{value:.0f}"

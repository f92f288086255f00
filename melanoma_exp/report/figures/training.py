"""Figures about training: the images of each class and the learning curves."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    NAME_WIDTH,
    ORANGE,
    SMALL,
    TITLE,
    VERMILLION,
    WIDTH,
    legend_below,
    new_figure,
    plain_axes,
    wrap,
    write_in,
)

# Distinct by marker and dashes too, for print in grey; the open square, drawn last, leaves a
# dot at the same place visible.
_SERIES: dict[str, dict[str, Any]] = {
    "train": {"label": "training", "color": BLUE, "marker": "o", "markersize": 3},
    "val": {
        "label": "validation",
        "color": VERMILLION,
        "marker": "s",
        "markersize": 5,
        "markerfacecolor": "none",
        "linestyle": "--",
    },
}


def class_counts(
    classes: Sequence[str],
    before: NDArray[np.integer[Any]],
    after: NDArray[np.integer[Any]],
) -> Figure:
    """Draw the training images of each class before and after balancing.

    The legend states both imbalances, the largest count over the smallest that is not zero, and
    how many classes are empty.

    Args:
        classes: The c class names.
        before: Shape (c,), images of each class, 0 or more.
        after: Shape (c,), images of each class, 0 or more.

    Raises:
        ValueError: The lengths differ.
    """
    rows = np.arange(len(classes))
    figure = new_figure(WIDTH, 0.36 * len(rows) + 0.8)
    axes = figure.subplots()
    thickness = 0.38
    longest = 1
    for name, counts, colour, shift in (
        ("before", np.asarray(before), ORANGE, -thickness / 2),
        ("after", np.asarray(after), BLUE, thickness / 2),
    ):
        if counts.shape != rows.shape:
            raise ValueError(f"{name} has the shape {counts.shape}, not {rows.shape}")
        label = f"{name} balancing ({_imbalance(counts)})"
        bars = axes.barh(rows + shift, counts, thickness, color=colour, label=label)
        axes.bar_label(bars, [f"{count:,}" for count in counts], fontsize=SMALL, padding=2)
        longest = max(longest, int(counts.max()))
    plain_axes(axes)
    axes.set_yticks(rows, [wrap(name, NAME_WIDTH, BODY) for name in classes])
    axes.tick_params(axis="y", length=0)
    # The room on the right holds the number at the longest bar.
    axes.set(xlim=(0, 1.12 * longest), ylim=(len(rows) - 0.5, -0.5))
    axes.xaxis.set_major_locator(_integers())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("training images", fontsize=BODY)
    legend_below(figure, axes, 2)
    return figure


def curves(history: Mapping[str, Sequence[float]], mark: str = "") -> Figure:
    """Draw loss and accuracy over the epochs, their last values written at the right.

    Args:
        history: One value an epoch under "train/loss", "val/loss", "train/accuracy" and
            "val/accuracy"; keys may be missing, others are ignored. Losses are 0 or more,
            accuracies 0 to 1. A value that is not finite leaves a gap.
        mark: Reservation about the run, such as "leaky", put as a warning above the panels.
    """
    figure = new_figure(WIDTH, 2.6 + 0.3 * bool(mark))
    drawn: dict[str, Line2D] = {}
    for axes, quantity in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        lines = _curve_panel(axes, history, quantity)
        drawn.update({str(line.get_label()): line for line in lines})
    if drawn:
        figure.legend(
            handles=list(drawn.values()),
            loc="outside lower center",
            ncols=2,
            frameon=False,
            fontsize=BODY,
        )
    if mark:
        figure.suptitle(
            wrap(f"Warning: {mark}", WIDTH - 0.5, TITLE),
            fontsize=TITLE,
            fontweight="bold",
            color="white",
            bbox={"boxstyle": "square,pad=0.2", "facecolor": VERMILLION, "edgecolor": "none"},
        )
    return figure


def _imbalance(counts: NDArray[np.integer[Any]]) -> str:
    filled = counts[counts > 0]
    if not filled.size:
        return "no images"
    empty = counts.size - filled.size
    return f"imbalance {filled.max() / filled.min():.1f} : 1" + f", {empty} empty" * bool(empty)


def _integers() -> MaxNLocator:
    # A single tick suffices: asked for two, the locator puts fractions around a single epoch.
    return MaxNLocator(6, integer=True, steps=[1, 2, 5, 10], min_n_ticks=1)


def _curve_panel(axes: Axes, history: Mapping[str, Sequence[float]], quantity: str) -> list[Line2D]:
    """Draw one panel and return its lines."""
    series = {name: np.asarray(history.get(f"{name}/{quantity}", ()), float) for name in _SERIES}
    series = {name: values for name, values in series.items() if values.size}
    plain_axes(axes)
    axes.set_title(quantity.capitalize(), fontsize=TITLE, loc="left")
    axes.set_xlabel("epoch", fontsize=BODY)
    if not series:
        axes.set(xticks=[], yticks=[])
        write_in(axes, "not recorded")
        return []
    epochs = max(values.size for values in series.values())
    finite = np.concatenate([values[np.isfinite(values)] for values in series.values()])
    top = 1.0 if quantity == "accuracy" else 1.05 * finite.max(initial=1e-3)
    pad = 0.5 if epochs == 1 else 0.03 * (epochs - 1)
    axes.set(xlim=(1 - pad, epochs + pad), ylim=(0, top))
    axes.xaxis.set_major_locator(_integers())
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    lines = []
    ends: list[tuple[float, float, str]] = []  # height in the panel, last value, colour
    for name, values in series.items():
        # A dozen markers at most, the last epoch always among them.
        marked = np.linspace(0, values.size - 1, min(values.size, 12)).round().astype(int)
        lines += axes.plot(
            np.arange(1, values.size + 1),
            np.where(np.isfinite(values), values, np.nan),
            markevery=marked.tolist(),
            linewidth=1.2,
            clip_on=False,
            **_SERIES[name],
        )
        known = values[np.isfinite(values)]
        height = known[-1] / top if known.size else 1.0
        ends.append((height, values[-1], _SERIES[name]["color"]))
    _label_ends(axes, ends)
    return lines


def _label_ends(axes: Axes, ends: list[tuple[float, float, str]]) -> None:
    """Write last values beside the panel, moved apart where they would touch."""
    apart = 0.075  # of the panel's height: a line of text
    heights = [height for height, _, _ in ends]
    if len(ends) == 2 and abs(heights[0] - heights[1]) < apart:
        upper = int(heights[1] > heights[0])
        middle = sum(heights) / 2
        heights[upper], heights[1 - upper] = middle + apart / 2, middle - apart / 2
    for height, (_, value, colour) in zip(heights, ends, strict=True):
        axes.text(
            1.02,
            height,
            f"{value:.3f}",
            transform=axes.transAxes,
            va="center",
            fontsize=BODY,
            color=colour,
        )

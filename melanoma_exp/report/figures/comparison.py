"""The learning curves of a comparison of setups, as SVG for its page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from melanoma_exp.report.figures.style import new_figure
from melanoma_exp.report.figures.svg import QUIET, SERIES, Chart, decorate, inline_svg

SIZE = (4.6, 3.1)  # inches; the page scales it
APART = 0.05  # of the height, between the letters at the ends of lines
Points = Sequence[tuple[int, float]]  # (epoch, value)


@dataclass(frozen=True)
class SetupCurves:
    """The curves of one setup.

    Attributes:
        letter: Of the setup; stands at the end of its lines.
        label: Its name.
        series: For each of `train/` and `val/`, `accuracy` and `loss` the points of each run.
    """

    letter: str
    label: str
    series: Mapping[str, Sequence[Points]]


@dataclass(frozen=True)
class _Line:
    setup: int
    name: str
    letter: str
    dashed: bool
    runs: Sequence[Points]


def comparison_charts(setups: Sequence[SetupCurves]) -> list[Chart]:
    """Draws accuracy, loss and generalisation gap by epoch, one line a setup.

    A bold line is the mean over runs, a faint one each of several runs. At an epoch that only some
    runs reached it is the mean of those.

    Args:
        setups: At most 9, in the order of the page's colours.

    Returns:
        The charts that have at least one finite value.
    """
    charts = []
    for what in ("accuracy", "loss"):
        lines = [
            _Line(k, f"{s.letter} {s.label}: {words}", s.letter, part == "train", runs)
            for k, s in enumerate(setups)
            for part, words in (("train", "training"), ("val", "validation"))
            if (runs := s.series[f"{part}/{what}"])
        ]
        charts.append((what.capitalize(), "validation solid, training dashed", lines))
    gaps = [
        _Line(
            k,
            f"{s.letter} {s.label}: gap",
            s.letter,
            False,
            list(map(_gap, s.series["train/accuracy"], s.series["val/accuracy"])),
        )
        for k, s in enumerate(setups)
    ]
    charts.append(("Generalisation gap", "training minus validation accuracy", gaps))
    return [
        Chart(title, note, svg) for title, note, lines in charts if (svg := _draw(title, lines))
    ]


def _draw(title: str, lines: Sequence[_Line]) -> str:
    """Returns the chart as SVG, "" where there is nothing to draw."""
    means = [_mean(line.runs) for line in lines]
    if not any(means):
        return ""
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    titles = {}
    ends = []
    for k, (line, mean) in enumerate(zip(lines, means, strict=True)):
        if not mean:
            continue
        colour = SERIES[line.setup]
        style = (0, (5, 3)) if line.dashed else "-"
        for run in line.runs if len(line.runs) > 1 else []:
            _plot(axes, run, colour, style, 0.8, 0.28)
        _plot(axes, mean, colour, style, 1.3 if line.dashed else 1.8, 1.0, f"mean{k}")
        titles[f"mean{k}"] = f"{line.name}, last {mean[-1][1]:.3f}"
        if not line.dashed:
            ends.append((mean[-1], line.letter, colour))
    if axes.get_ylim()[0] < 0 < axes.get_ylim()[1]:
        axes.axhline(0, color=QUIET, linewidth=0.8, zorder=1)
    decorate(axes, counted="epoch")
    low, high = axes.get_ylim()
    heights = _spread([(point[1] - low) / (high - low) for point, _, _ in ends])
    for (point, letter, colour), height in zip(ends, heights, strict=True):
        axes.annotate(
            letter,
            (point[0], low + height * (high - low)),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=9,
            fontweight="bold",
            parse_math=False,
            annotation_clip=False,
        )
    return inline_svg(figure, f"{title} by epoch", titles)


def _plot(
    axes: Axes,
    points: Points,
    colour: str,
    style: object,
    width: float,
    opacity: float,
    gid: str = "",
) -> None:
    finite = [point for point in points if math.isfinite(point[1])]
    # A run of one epoch is a dot: the round cap of a line without length.
    drawn = finite * 2 if len(finite) == 1 else finite
    axes.plot(
        [step for step, _ in drawn],
        [value for _, value in drawn],
        color=colour,
        linestyle=style if len(finite) > 1 else "-",
        linewidth=width if len(finite) > 1 else 5,
        alpha=opacity,
        solid_capstyle="round",
        gid=gid or None,
    )


def _mean(runs: Sequence[Points]) -> list[tuple[int, float]]:
    """Averages the finite values of runs epoch by epoch."""
    found: dict[int, list[float]] = {}
    for step, value in (point for points in runs for point in points):
        if math.isfinite(value):
            found.setdefault(step, []).append(value)
    return [(step, float(np.mean(values))) for step, values in sorted(found.items())]


def _gap(training: Points, validation: Points) -> list[tuple[int, float]]:
    """Returns the difference at the epochs that have both."""
    others = dict(validation)
    return [(step, value - others[step]) for step, value in training if step in others]


def _spread(heights: Sequence[float]) -> list[float]:
    """Moves heights, of the axes', up until none is nearer to another than APART."""
    moved = list(heights)
    order = np.argsort(heights, kind="stable")
    for before, after in zip(order, order[1:], strict=False):
        moved[after] = max(moved[after], moved[before] + APART)
    over = max([0.0, *moved]) - 1
    return [height - max(over, 0.0) for height in moved]

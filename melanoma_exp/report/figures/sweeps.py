"""The figure of a sweep: the learning curves of all its runs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from melanoma_exp.report.figures.style import (
    BODY,
    GREY,
    TINY,
    TITLE,
    WIDTH,
    new_figure,
    plain,
    plain_axes,
)

NAMED = 10  # runs that have a colour and a line in the legend
PANELS = {"val/accuracy": "Validation accuracy", "val/loss": "Validation loss"}


@dataclass(frozen=True)
class SweepCurve:
    """The curves of one run.

    Attributes:
        name: In the legend.
        leaky: Whether it saw in training what measures it; drawn dashed.
        points: For each figure the (epoch, value) pairs.
    """

    name: str
    leaky: bool
    points: Mapping[str, Sequence[tuple[int, float]]]


def sweep_curves(curves: Sequence[SweepCurve]) -> Figure:
    """Draw validation accuracy and loss of many runs over epochs.

    Up to ten runs are named; of more, all lines are thin and grey save leaky ones, which are
    dashed, and the legend says how many there are.

    Args:
        curves: Of the runs; those without points are left out.

    Raises:
        ValueError: No run has any point.
    """
    drawn = [curve for curve in curves if any(curve.points.values())]
    if not drawn:
        raise ValueError("no run has any point")
    is_named = len(drawn) <= NAMED
    lines = len(drawn) if is_named else 2
    figure = new_figure(WIDTH, 2.6 + 0.14 * lines)
    colours = colormaps["cividis"].resampled(max(len(drawn), 2))
    axes = figure.subplots(1, 2)
    for (key, title), panel in zip(PANELS.items(), axes, strict=True):
        for k, curve in enumerate(drawn):
            points = curve.points.get(key, ())
            panel.plot(
                [epoch for epoch, _ in points],
                [value for _, value in points],
                color=colours(k) if is_named else GREY,
                linestyle="--" if curve.leaky else "-",
                linewidth=1.2 if is_named else 0.6,
                marker="o" if is_named else None,
                markersize=2,
                label=plain(f"{curve.name}{' (leaky)' * curve.leaky}"),
            )
        panel.set_title(title, fontsize=TITLE, loc="left")
        panel.set_xlabel("epoch", fontsize=BODY)
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        plain_axes(panel)
    handles, labels = axes[0].get_legend_handles_labels()
    if not is_named:
        leaky = sum(curve.leaky for curve in drawn)
        first = {curve.leaky: handle for curve, handle in list(zip(drawn, handles, strict=True))}
        counts = {False: f"{len(drawn) - leaky} runs", True: f"{leaky} leaky runs"}
        handles, labels = list(first.values()), [counts[kind] for kind in first]
    figure.legend(handles, labels, loc="outside lower left", frameon=False, fontsize=TINY)
    return figure

"""The figure of a range test of learning rates."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREEN,
    ORANGE,
    WIDTH,
    legend_below,
    new_figure,
    plain_axes,
)


def range_test(
    rates: np.ndarray, losses: np.ndarray, smoothed: np.ndarray, suggested: Mapping[str, float]
) -> Figure:
    """Draw the loss over the learning rate, with suggested rates as vertical lines.

    Args:
        rates: Shape (n,), above 0.
        losses: Shape (n,), of each step.
        smoothed: Shape (n,), their moving average.
        suggested: At most two rates by what they are.
    """
    figure = new_figure(WIDTH, 3.2)
    axes = figure.add_subplot()
    axes.plot(rates, losses, color=FAINT, label="loss of a batch")
    axes.plot(rates, smoothed, color=BLUE, label="smoothed")
    for (name, rate), colour in zip(suggested.items(), (GREEN, ORANGE), strict=False):
        axes.axvline(rate, color=colour, linestyle="--", label=f"{name}: {rate:.2g}")
    axes.set_xscale("log")
    axes.set_xlabel("learning rate", fontsize=BODY)
    axes.set_ylabel("training loss", fontsize=BODY)
    plain_axes(axes)
    legend_below(figure, axes, 4)
    return figure

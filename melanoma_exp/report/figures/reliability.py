"""The figure about calibration: predicted probability against frequency seen."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    ORANGE,
    SMALL,
    TITLE,
    WIDTH,
    legend_below,
    new_figure,
    plain_axes,
    wrap,
)

if TYPE_CHECKING:
    from melanoma_exp.evaluation.metrics.calibration import Reliability


def reliability(
    pairs: Mapping[str, tuple["Reliability", "Reliability"]], temperature: float, title: str
) -> Figure:
    """Draw the reliability before and after temperature scaling, a panel each probability.

    A dot is a bin of equally many images; its whisker is the interval of the frequency. Under each
    panel stand the expected calibration errors over these bins and over bins of equal width.

    Args:
        pairs: By name before and after, one to three.
        temperature: Between the two.
        title: What they were measured on.
    """
    figure = new_figure(WIDTH, 0.9 * WIDTH / len(pairs) + 0.75)
    panels = figure.subplots(1, len(pairs), squeeze=False)[0]
    for axes, (name, pair) in zip(panels, pairs.items(), strict=True):
        plain_axes(axes)
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
        axes.grid(color=FAINT, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="perfect")
        for found, label, colour, marker, line in (
            (pair[0], "plain", ORANGE, "s", "--"),
            (pair[1], f"calibrated, temperature {temperature:.2f}", BLUE, "o", "-"),
        ):
            seen = found.observed
            reach = np.abs([seen.value - seen.low, seen.high - seen.value])
            axes.errorbar(
                found.predicted,
                seen.value,
                yerr=reach,
                color=colour,
                marker=marker,
                markersize=3.5,
                linestyle=line,
                linewidth=1.1,
                elinewidth=0.7,
                label=label,
                clip_on=False,
            )
        axes.set_title(wrap(name, WIDTH / len(pairs) - 0.6, BODY), fontsize=BODY, loc="left")
        before, after = pair
        axes.set_xlabel(
            f"predicted probability\nECE {before.ece_mass:.3f} → {after.ece_mass:.3f}\n"
            f"(equal width {before.ece_width:.3f} → {after.ece_width:.3f})",
            fontsize=SMALL,
        )
    panels[0].set_ylabel("frequency seen", fontsize=BODY)
    figure.suptitle(title, fontsize=TITLE, fontweight="bold")
    legend_below(figure, panels[0], 3)
    return figure

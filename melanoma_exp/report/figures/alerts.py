"""Figures about an alert: how well its score ranks, and what acting on it is worth."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    ORANGE,
    SMALL,
    TITLE,
    VERMILLION,
    WIDTH,
    format_estimate,
    legend_below,
    new_figure,
    plain_axes,
    wrap,
    write_in,
)

if TYPE_CHECKING:
    from melanoma_exp.evaluation.metrics.alert import Alert
    from melanoma_exp.evaluation.metrics.interval import Estimate

HALF = WIDTH / 2 - 0.5  # inches a panel's title may take


def alert_curves(alerts: Mapping[str, "Alert"], title: str) -> Figure:
    """Draw the ROC and the precision-recall curve of each alert with its operating point.

    The band of the ROC curve is the interval of the sensitivity at each false positive rate; the
    whiskers of the operating point are those of the two figures it is made of. The curves are of
    the plain probability, the alert goes by the calibrated one, which orders images a little
    otherwise: the point may lie beside the curve. A curve that does not exist, for want of
    positive or other images, says so.

    Args:
        alerts: By name, one or more.
        title: What they were measured on.
    """
    figure = new_figure(WIDTH, 2.9 * len(alerts) + 0.55)
    grid = figure.subplots(len(alerts), 2, squeeze=False)
    for (left, right), (name, alert) in zip(grid, alerts.items(), strict=True):
        for axes, across, up in (
            (left, "false positive rate (1 - specificity)", "sensitivity"),
            (right, "recall (sensitivity)", "precision (PPV)"),
        ):
            _unit_square(axes, across, up)
        head = f"{name} ({alert.positives} of {alert.images} images)"
        left.set_title(
            f"{wrap(head, HALF, TITLE)}\nROC by plain probability,\n"
            f"AUC {format_estimate(alert.metrics['auc'])}",
            fontsize=TITLE,
            loc="left",
        )
        right.set_title(
            "precision-recall by plain probability,\n"
            f"average {format_estimate(alert.metrics['average_precision'])}",
            fontsize=TITLE,
            loc="left",
        )
        if not 0 < alert.positives < alert.images:
            for axes in (left, right):
                write_in(axes, "undefined: one side has no image")
            continue
        left.fill_between(
            alert.rates,
            alert.band.low,
            alert.band.high,
            color=BLUE,
            alpha=0.2,
            linewidth=0,
            label="interval",
        )
        left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":", label="chance")
        left.plot(*alert.roc[:2], color=BLUE, linewidth=1.2, label="curve")
        recall, precision = alert.precision_recall[:2]
        right.step(
            np.append(0, recall),
            np.append(precision[0], precision),
            where="pre",
            color=BLUE,
            linewidth=1.2,
        )
        share = alert.positives / alert.images
        right.axhline(share, color=GREY, linewidth=0.8, linestyle=":")
        if "sensitivity" in alert.metrics:
            sensitivity, ppv = alert.metrics["sensitivity"], alert.metrics["ppv"]
            _cross(left, alert.metrics["specificity"].turned(), sensitivity)
            _cross(right, sensitivity, ppv)
            left.set_xlabel(
                f"{left.get_xlabel()}\nalert, calibrated probability from "
                f"{alert.decision.threshold:.3g}: sensitivity "
                f"{format_estimate(sensitivity)},\n"
                f"specificity {format_estimate(alert.metrics['specificity'])}",
                fontsize=SMALL,
            )
            right.set_xlabel(
                f"{right.get_xlabel()}\nof the alert: PPV {format_estimate(ppv)},\n"
                f"NPV {format_estimate(alert.metrics['npv'])}",
                fontsize=SMALL,
            )
    figure.suptitle(title, fontsize=TITLE, fontweight="bold")
    legend_below(figure, grid[0, 0], 4)
    return figure


def decision_curves(alerts: Mapping[str, "Alert"], title: str) -> Figure:
    """Draw the net benefit of acting on each alert over the probability at which one would act.

    Args:
        alerts: By name, one or more.
        title: What they were measured on.
    """
    figure = new_figure(WIDTH, 2.7)
    panels = figure.subplots(1, len(alerts), squeeze=False)[0]
    for axes, (name, alert) in zip(panels, alerts.items(), strict=True):
        plain_axes(axes)
        share = alert.positives / alert.images
        shown = alert.chances <= min(0.99, max(0.5, 1.5 * share))
        across = alert.chances[shown]
        axes.fill_between(
            across,
            alert.benefit.low[shown],
            alert.benefit.high[shown],
            color=BLUE,
            alpha=0.2,
            linewidth=0,
            label="interval",
        )
        axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":", label="look at none")
        axes.plot(
            across,
            alert.benefit_of_all[shown],
            color=ORANGE,
            linewidth=1.2,
            linestyle="--",
            label="look at all",
        )
        axes.plot(
            across, alert.benefit.value[shown], color=BLUE, linewidth=1.2, label="by the model"
        )
        value = alert.benefit.value[shown]
        highs = np.concatenate([alert.benefit.high[shown], value, alert.benefit_of_all[shown]])
        top = max(0.01, float(np.nanmax(highs)))
        low = -min(top, max(0.25 * top, -1.1 * float(value.min())))
        axes.set(xlim=(0, across[-1]), ylim=(low, 1.05 * top))
        axes.set_title(
            wrap(f"{name} (share {share:.2f} of {alert.images} images)", HALF, BODY),
            fontsize=BODY,
            loc="left",
        )
        axes.set_xlabel("calibrated probability at which one would act", fontsize=BODY)
    panels[0].set_ylabel("net benefit", fontsize=BODY)
    figure.suptitle(title, fontsize=TITLE, fontweight="bold")
    legend_below(figure, panels[0], 4)
    return figure


def _unit_square(axes: Axes, across: str, up: str) -> None:
    plain_axes(axes)
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.grid(color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.set_xlabel(across, fontsize=SMALL)
    axes.set_ylabel(up, fontsize=BODY)


def _cross(axes: Axes, across: "Estimate", up: "Estimate") -> None:
    """Mark a point with its intervals; nothing where it is undefined."""
    if np.isnan(across.value) or np.isnan(up.value):
        return
    reach = [[[abs(e.value - e.low)], [abs(e.high - e.value)]] for e in (across, up)]
    axes.errorbar(
        float(across.value),
        float(up.value),
        xerr=reach[0],
        yerr=reach[1],
        color=VERMILLION,
        marker="o",
        markersize=4,
        linewidth=1,
        zorder=3,
        clip_on=False,
        linestyle="none",
        label="operating point",
    )

"""The charts of a run's own page, as SVG, from what the run recorded of its evaluation."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from melanoma_exp.report.figures.style import new_figure
from melanoma_exp.report.figures.svg import QUIET, SERIES, Chart, decorate, inline_svg

SIZE = (3.9, 3.5)  # inches; the page scales it
BLUE, ORANGE = SERIES[0], SERIES[1]


def roc_chart(name: str, alert: Mapping[str, Any]) -> Chart | None:
    """Draws the ROC curve of an alert with its band and its operating point.

    Args:
        name: Of the alert.
        alert: As `evaluation_<part>.json` has it.

    Returns:
        The chart, None where the curve is undefined.
    """
    roc, band = alert["roc"], alert["roc_band"]
    if None in roc["sensitivity"] or not roc["sensitivity"]:
        return None
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    _band(axes, *(_floats(band[key]) for key in ("false_positive_rate", "low", "high")))
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.plot(
        roc["false_positive_rate"], roc["sensitivity"], color=BLUE, linewidth=1.8, gid="curve"
    )
    note = "The band is the interval of the sensitivity, the diagonal is chance."
    found = alert["figures"]
    if (at := found.get("sensitivity")) and (of := found.get("specificity")):
        if at["value"] is not None and of["value"] is not None:
            _dot(axes, 1 - of["value"], at["value"])
            note += " The dot is the alert at its threshold."
    _unit_square(axes, "false positive rate", "sensitivity")
    area = found.get("auc", {}).get("value")
    titles = {"curve": f"ROC of {name}" + (f", AUC {area:.3f}" if area is not None else "")}
    svg = inline_svg(figure, f"ROC curve of {name}", {**titles, "dot": "the alert's threshold"})
    return Chart("ROC", note, svg)


def reliability_chart(of: str, pair: Mapping[str, Any]) -> Chart:
    """Draws predicted probability against frequency seen, before and after calibration.

    Args:
        of: Whose probability.
        pair: `before` and `after`, as `evaluation_<part>.json` has them.
    """
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=QUIET, linewidth=0.8, linestyle=(0, (2, 3)))
    titles = {}
    for side, colour, style in (("before", ORANGE, (0, (5, 3))), ("after", BLUE, "-")):
        bins = pair[side]["bins"]
        said, seen = _floats(bins["said"]), _floats(bins["value"])
        if side == "after":
            low, high = _floats(bins["low"]), _floats(bins["high"])
            axes.vlines(said, low, high, color=colour, linewidth=1.0, alpha=0.5)
        axes.plot(said, seen, color=colour, linestyle=style, linewidth=1.8, gid=side)
        titles[side] = f"{side} calibration, expected error {pair[side]['ece_mass']:.3f}"
    _unit_square(axes, "predicted probability", "frequency seen")
    svg = inline_svg(figure, f"Calibration of the probability of {of}", titles)
    note = "Solid after calibration with intervals, dashed before; the diagonal is perfect."
    return Chart(f"Probability of {of}", note, svg)


def benefit_chart(name: str, alert: Mapping[str, Any]) -> Chart | None:
    """Draws the net benefit of acting on an alert over the probability at which one would act.

    Arguments and result are those of `roc_chart`.
    """
    curve = alert["decision_curve"]
    across = _floats(curve["threshold_probability"])
    share = alert["positives"] / max(alert["images"], 1)
    shown = across <= min(0.99, max(0.5, 1.5 * share))
    values = _floats(curve["value"])[shown]
    if not np.isfinite(values).any():
        return None
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    # Nothing of an inline SVG is clipped, so what is below the axes is cut here.
    top = 1.15 * max(share, 0.02)
    bottom = min(0.0, float(np.nanmin(values))) - 0.1 * top
    low, high = (np.clip(_floats(curve[end])[shown], bottom, top) for end in ("low", "high"))
    _band(axes, across[shown], low, high)
    everyone = _floats(curve["everyone"])[shown]
    everyone[everyone < bottom] = np.nan
    axes.axhline(0, color=QUIET, linewidth=0.8, linestyle=(0, (2, 3)))
    axes.plot(
        across[shown], everyone, color=ORANGE, linewidth=1.5, linestyle=(0, (5, 3)), gid="all"
    )
    axes.plot(across[shown], values, color=BLUE, linewidth=1.8, gid="alert")
    axes.set_ylim(bottom, top)
    decorate(axes)
    axes.set_xlabel("probability from which one would act", color=QUIET, fontsize=9)
    titles = {"all": "looking at every lesion", "alert": f"looking where {name} is probable"}
    svg = inline_svg(figure, f"Net benefit of the probability of {name}", titles)
    note = "Solid by the calibrated probability, dashed looking at every lesion, 0 looking at none."
    return Chart("Net benefit", note, svg)


def _unit_square(axes: Axes, across: str, up: str) -> None:
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    decorate(axes)
    axes.set_xticks([0, 0.5, 1])
    axes.set_yticks([0, 0.5, 1])
    axes.set_xlabel(across, color=QUIET, fontsize=9)
    axes.set_ylabel(up, color=QUIET, fontsize=9)


def _band(axes: Axes, across: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
    """Shades what is between two lines, as one polygon: a collection would be a reference."""
    there = np.isfinite(low) & np.isfinite(high)
    x, low, high = across[there], low[there], high[there]
    axes.fill(
        np.append(x, x[::-1]), np.append(low, high[::-1]), color=BLUE, alpha=0.18, linewidth=0
    )


def _dot(axes: Axes, across: float, up: float) -> None:
    # The round cap of a line without length: a marker would be a reference.
    axes.plot(
        [across] * 2,
        [up] * 2,
        color=ORANGE,
        linewidth=8,
        solid_capstyle="round",
        gid="dot",
        clip_on=False,
    )


def _floats(values: Any) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], float)

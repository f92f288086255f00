"""The charts of a search, as SVG for its page."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from melanoma_exp.report.figures.style import new_figure
from melanoma_exp.report.figures.svg import INK, RULE, SERIES, Chart, decorate, inline_svg

SIZE = (4.6, 3.1)  # inches; the page scales it
FINISHED, PRUNED = SERIES[0], SERIES[1]
DOT = 6.0  # points


@dataclass(frozen=True)
class Trial:
    """A job of a search.

    Attributes:
        number: Of the job, from 0.
        state: finished, pruned, failed or running.
        score: What was optimised, as measured; None where the job has none.
        values: By setting, as drawn.
        epochs: (epoch, value) of the metric by which jobs are pruned; empty without pruning.
    """

    number: int
    state: str
    score: float | None
    values: Mapping[str, float | int | str]
    epochs: Sequence[tuple[int, float]]


def search_charts(
    trials: Sequence[Trial],
    logarithmic: Mapping[str, bool],
    importances: Mapping[str, float],
    score: str,
    higher_is_better: bool,
    monitor: str,
) -> list[Chart]:
    """Draws the jobs of a search, the importance of its settings, each setting, and the epochs.

    Scores far worse than three quarters of the jobs are drawn at the edge, so that one job that
    diverged does not flatten the others.

    Args:
        trials: Of the search; at least one finished.
        logarithmic: By setting whether it was drawn on a logarithmic scale.
        importances: By setting the share of the scores' variance that it explains; may be empty.
        score: Names what was optimised.
        higher_is_better: Of the score.
        monitor: Names the metric by which jobs are pruned; "" prunes none.
    """
    finished = [trial for trial in trials if trial.score is not None]
    shown = _within(finished, higher_is_better)
    charts = [_jobs(finished, shown, score, higher_is_better)]
    if importances:
        charts.append(_importances(importances))
    charts += [
        _setting(key, is_log, finished, shown, score)
        for key, is_log in logarithmic.items()
        if len({trial.values.get(key) for trial in finished}) > 1
    ]
    if any(trial.epochs for trial in trials):
        charts.append(_epochs(trials, monitor))
    return charts


def _within(finished: Sequence[Trial], higher_is_better: bool) -> list[float]:
    """Returns the height of each job: its score, or the edge where that is far off."""
    scores = [float(trial.score or 0.0) for trial in finished]
    kept = sorted(scores, reverse=higher_is_better)[: math.ceil(0.75 * len(scores))]
    margin = max(kept) - min(kept)
    edge = kept[-1] - margin if higher_is_better else kept[-1] + margin
    return [max(s, edge) if higher_is_better else min(s, edge) for s in scores]


def _dots(axes: Axes, at: Sequence[float], heights: Sequence[float], gids: Sequence[str]) -> None:
    for x, y, gid in zip(at, heights, gids, strict=True):  # the round cap of a line without length
        axes.plot([x, x], [y, y], color=FINISHED, linewidth=DOT, solid_capstyle="round", gid=gid)


def _titles(finished: Sequence[Trial]) -> dict[str, str]:
    return {f"job{trial.number}": f"job {trial.number}: {trial.score:.4g}" for trial in finished}


def _jobs(
    finished: Sequence[Trial], shown: Sequence[float], score: str, higher_is_better: bool
) -> Chart:
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    best = list(shown)
    for k in range(1, len(best)):
        best[k] = max(best[k - 1 : k + 1]) if higher_is_better else min(best[k - 1 : k + 1])
    numbers = [trial.number for trial in finished]
    axes.step(numbers, best, where="post", color=INK, linewidth=1.2)
    _dots(axes, numbers, shown, list(_titles(finished)))
    decorate(axes, counted="job")
    svg = inline_svg(figure, f"{score} of each job", _titles(finished))
    return Chart("Jobs", f"{score} of each job; the line is the best until then", svg)


def _importances(importances: Mapping[str, float]) -> Chart:
    names = sorted(importances, key=lambda key: importances[key])
    figure = new_figure(SIZE[0], 0.8 + 0.3 * len(names))
    axes = figure.subplots()
    axes.barh(names, [importances[name] for name in names], height=0.6, color=FINISHED)
    axes.set_xlim(0, 1)
    decorate(axes)
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=RULE, linewidth=0.7)
    axes.set_yticks(range(len(names)), names)
    words = ", ".join(f"{name} {importances[name]:.2f}" for name in reversed(names))
    note = "share of the variance of the scores that a setting explains (PED-ANOVA)"
    return Chart("Which setting matters", note, inline_svg(figure, words, {}))


def _setting(
    key: str, is_log: bool, finished: Sequence[Trial], shown: Sequence[float], score: str
) -> Chart:
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    values = [trial.values[key] for trial in finished]
    if any(isinstance(value, str) for value in values):
        names = sorted({str(value) for value in values})
        at = [float(names.index(str(value))) for value in values]
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
    else:
        at = [float(value) for value in values]
        if is_log:
            axes.set_xscale("log")
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10], min_n_ticks=1))
    _dots(axes, at, shown, list(_titles(finished)))
    decorate(axes)
    svg = inline_svg(figure, f"{score} by {key}", _titles(finished))
    return Chart(key, f"{score} of each finished job", svg)


def _epochs(trials: Sequence[Trial], monitor: str) -> Chart:
    figure = new_figure(*SIZE)
    axes = figure.subplots()
    titles = {}
    values = [v for trial in trials for _, v in trial.epochs if math.isfinite(v)]
    low, high = np.quantile(values, [0.05, 0.95]) if values else (0.0, 0.0)
    for trial in trials:
        finite = [
            (epoch, min(max(value, 2 * low - high), 2 * high - low))
            for epoch, value in trial.epochs
            if math.isfinite(value)
        ]
        if not finite:
            continue
        pruned = trial.state == "pruned"
        epochs, heights = zip(*(finite * 2 if len(finite) == 1 else finite), strict=True)
        axes.plot(
            epochs,
            heights,
            color=PRUNED if pruned else FINISHED,
            linewidth=1.1 if len(finite) > 1 else DOT,
            alpha=0.6,
            solid_capstyle="round",
            gid=f"epochs{trial.number}",
        )
        titles[f"epochs{trial.number}"] = f"job {trial.number}, {trial.state}"
    decorate(axes, counted="epoch")
    note = f"{monitor} by epoch; orange lines were pruned"
    return Chart("Epochs", note, inline_svg(figure, f"{monitor} by epoch", titles))

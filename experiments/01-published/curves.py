"""The curves of the published experiments: kept in a file, and drawn."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.ticker import MaxNLocator

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    ORANGE,
    TITLE,
    VERMILLION,
    WIDTH,
    new_figure,
    plain_axes,
    save,
)

SERIES = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")
Result = dict[str, Any]


def write_curves(path: Path, results: Sequence[Result]) -> None:
    """Writes a row an epoch of each run, six significant digits."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "epoch", *SERIES])
        for r in results:
            if r["curves"]:
                for points in zip(*(r["curves"][series] for series in SERIES), strict=True):
                    values = [f"{value:.6g}" for _, value in points]
                    writer.writerow([r["run"], points[0][0], *values])


def read_curves(path: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Returns for each run each series as epochs, from 1, and values."""
    curves: dict[str, dict[str, list[tuple[int, float]]]] = {}
    if path.is_file():
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                of_run = curves.setdefault(row["run"], {series: [] for series in SERIES})
                for series in SERIES:
                    of_run[series].append((int(row["epoch"]), float(row[series])))
    return curves


def draw(path: Path, system: str, published: dict[str, Any], results: list[Result]) -> None:
    """Overlays the curves of a system's stages, every run; nothing where none are known.

    A run whose curves are lost is its last epoch.
    """
    ordered = sorted(results, key=lambda r: not r["curves"])  # curves stand in the legend
    known = {name: [r for r in ordered if r["experiment"] == name] for name in published}
    shown = {name: runs for name, runs in known.items() if runs}
    if not any(r["curves"] for runs in shown.values() for r in runs):
        return
    figure = new_figure(WIDTH, 3.4)
    for axes, quantity in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        plain_axes(axes)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_title(quantity.capitalize(), fontsize=TITLE, loc="left")
        axes.set_xlabel("epoch", fontsize=BODY)
        colours = BLUE, VERMILLION, ORANGE, GREY
        for (name, runs), colour in zip(shown.items(), colours, strict=False):
            for part, line, marker in (("train", "-", "o"), ("val", "--", "s")):
                label: str | None = f"{published[name]['stage']}, {part}"
                for r in runs:
                    points = [(r["epochs"], r[f"{part}_{quantity}"])]
                    if r["curves"]:
                        points = r["curves"][f"{part}/{quantity}"]
                    axes.plot(
                        *zip(*points, strict=True),
                        line,
                        color=colour,
                        lw=0.9,
                        label=label,
                        ms=3,
                        marker=marker if len(points) == 1 else None,
                    )
                    label = None  # each stage once in the legend
                told = published[name][f"{part}_{quantity}"]
                if told and all(r["task"] == "classes" for r in runs):
                    place = runs[0]["epochs_published"]
                    axes.plot(place, float(told), marker, color=colour, mfc="none", ms=7)
        axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    figure.axes[0].set_ylim(0, 1)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=BODY
    )
    mark = "  LEAKY: validation was seen in training" * any(
        r["leaky"] == "true" for runs in shown.values() for r in runs
    )
    figure.suptitle(f"{system} (hollow: published){mark}", fontsize=TITLE, fontweight="bold")
    save(figure, path)

"""The studies' figures."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.images import Answers
from melanoma_exp.comparison.rows import Row
from melanoma_exp.evaluation.metrics.paired_tests import GroupBootstrap
from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREEN,
    GREY,
    ORANGE,
    SMALL,
    TITLE,
    VERMILLION,
    WIDTH,
    new_figure,
    plain_axes,
    save,
)

COLOURS = {"m1": BLUE, "m2": ORANGE, "m3": GREEN}
ORDERS = {
    "published": "augment first, split after\n(as published: leaky)",
    "holdout": "split first, augment after\n(honest)",
}


def draw_leak(comparisons: Sequence[Comparison], path: Path) -> list[str]:
    """Draws M1 and M3 under both orders and says how much of M3's jump over M1 is leak."""
    (compared,) = comparisons
    rows = {(_recipe(r), r.runs[0].stored.params["split.kind"]): r for r in compared.rows}
    figure = new_figure(WIDTH, 3.9)
    panels = figure.subplots(1, 2, sharey=True)
    jumps, lines = {}, []
    for axes, (order, title) in zip(panels, ORDERS.items(), strict=True):
        colour = VERMILLION if order == "published" else BLUE
        pair = [rows["m1", order], rows["m3", order]]
        means = {}
        for part, shift, fill in (("val", -0.08, colour), ("test", 0.08, "white")):
            for x, row in enumerate(pair):
                values = _values(row, f"final/{part}/accuracy")
                axes.plot([x + shift] * len(values), values, "o", ms=6, color=colour, mfc=fill)
            means[part] = [row.mean(f"final/{part}/accuracy").value for row in pair]
            axes.plot(
                [shift, 1 + shift], means[part], "-" if part == "val" else ":", color=colour, lw=1.6
            )
        values = {
            part: f"{round(m3 - m1, 2) + 0.0:+.2f}".replace("-", "−")  # + 0.0: no minus zero
            for part, (m1, m3) in means.items()
        }
        axes.text(
            0.5,
            0.95,
            values["val"],
            transform=axes.transAxes,
            ha="center",
            va="top",
            color=colour,
            fontsize=22,
            fontweight="bold",
        )
        axes.text(
            0.5,
            0.05,
            f"on the test images {values['test']}",
            transform=axes.transAxes,
            ha="center",
            color=colour,
            fontsize=BODY,
        )
        jumps[order] = means["val"][1] - means["val"][0]
        leak = pair[1].mean("leak/val_rows_with_train_source").value
        note = f"validation files whose image M3 trained on: {leak:.0%}"
        axes.set_xlabel(note, fontsize=BODY)
        axes.set_title(title, fontsize=TITLE, color=colour, fontweight="bold")
        axes.set_xticks([0, 1], ["M1", "M3"])
        axes.set_xlim(-0.4, 1.4)
        axes.set_ylim(0, 1)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        plain_axes(axes)
    panels[0].set_ylabel("accuracy", fontsize=BODY)
    panels[0].plot([], [], "o-", color=GREY, label="validation")
    panels[0].plot([], [], "o:", color=GREY, mfc="white", label="official test (118 images)")
    figure.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=BODY)
    share = 1 - jumps["holdout"] / jumps["published"]
    seeds = rows["m3", "holdout"].seeds
    part_of_it = "All" if share >= 1 else f"{share:.0%}"
    figure.suptitle(
        f"From M1 to M3 in validation accuracy. {part_of_it} of the published jump is leak",
        fontsize=TITLE + 1,
        fontweight="bold",
    )
    save(figure, path)
    for order, jump in jumps.items():
        spread = [r.mean("final/val/accuracy") for r in (rows["m3", order], rows["m1", order])]
        half = math.hypot(*(m.half for m in spread))
        words = "published order" if order == "published" else "split first"
        lines.append(
            f"Jump from M1 to M3 in validation accuracy, {words}: {jump:+.3f} (±{half:.3f} over "
            f"{seeds} seeds, training noise alone)."
        )
    lines.append(f"Share of the published jump that is leak: {share:.0%}.")
    return [line.replace("-0", "−0") for line in lines]


def draw_recipes(comparisons: Sequence[Comparison], path: Path) -> list[str]:
    """Draws balanced accuracy and each class's recall of M1, M2, M3; says the recalls of melanoma.

    Recall is of validation images; its bars are 95 % intervals of a bootstrap over groups of
    images, of the mean over repeats.
    """
    (compared,) = comparisons
    tested = next(t for t in compared.tested if t.part == "val")
    answered = sorted(tested.rows, key=lambda pair: _recipe(pair[0]))
    figure = new_figure(WIDTH, 0.9 + 0.42 * len(compared.classes))
    left, right = figure.subplots(1, 2, width_ratios=(1, 2))
    _draw_runs(left, [row for row, _ in answered])
    lines = _draw_recall(right, compared.classes, answered)
    _legend(figure, answered)
    save(figure, path)
    return lines


def _draw_runs(axes: Axes, rows: Sequence[Row]) -> None:
    for x, row in enumerate(rows):
        for part, shift in (("val", -0.14), ("test", 0.14)):
            values = _values(row, f"final/{part}/balanced_accuracy")
            mean = row.mean(f"final/{part}/balanced_accuracy")
            colour = COLOURS[_recipe(row)]
            fill = colour if part == "val" else "white"
            axes.plot(
                [x + shift] * len(values), values, "o", ms=3.5, color=colour, mfc=fill, alpha=0.6
            )
            axes.errorbar(
                x + shift, mean.value, mean.half, fmt="_", ms=12, color="black", capsize=3, lw=1
            )
    plain_axes(axes)
    axes.set_xticks(range(len(rows)), [_recipe(row).upper() for row in rows])
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_ylim(bottom=0)
    axes.set_title("Balanced accuracy\nfilled: validation, open: test", fontsize=BODY, loc="left")


def _draw_recall(
    axes: Axes, classes: Sequence[str], answered: Sequence[tuple[Row, Answers]]
) -> list[str]:
    lines = []
    for k, (row, answers) in enumerate(answered):
        bootstrap = GroupBootstrap(answers.group)
        for y, name in enumerate(classes):
            cell = np.where(answers.label == y, 0, -1)
            share = bootstrap.share(answers.predicted == answers.label, cell)
            value = float(share.observed.mean())
            low, high = np.nanquantile(share.drawn.mean(axis=1), [0.025, 0.975])
            place, colour = y + 0.22 * (k - 1), COLOURS[_recipe(row)]
            axes.plot([low, high], [place, place], color=colour, lw=1.2)
            axes.plot(value, place, "o", ms=4, color=colour)
            if name in ("mel", "melanoma"):
                lines.append(
                    f"{_recipe(row).upper()} finds {value:.2f} ({low:.2f} to {high:.2f}) of the "
                    f"{int((cell == 0).sum())} validation melanomas."
                )
    label = answered[0][1].label
    names = [f"{name} ({int((label == y).sum())})" for y, name in enumerate(classes)]
    plain_axes(axes)
    axes.set_yticks(range(len(classes)), names, fontsize=SMALL)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_title("Recall a class, validation images (how many)", fontsize=BODY, loc="left")
    return lines


def _legend(figure: Figure, answered: Sequence[tuple[Row, Answers]]) -> None:
    axes = figure.axes[1]
    for row, _ in answered:
        recipe = _recipe(row)
        axes.plot([], [], "o-", ms=4, color=COLOURS[recipe], label=recipe.upper())
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, frameon=False, fontsize=BODY
    )


def _recipe(row: Row) -> str:
    return row.runs[0].stored.tags["experiment"]


def _values(row: Row, key: str) -> list[float]:
    return [run.metric(key) for run in row.runs]

"""What each part of a recipe is worth: added to one setup, left out of another."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import melanoma_of
from forest import setup
from matplotlib.axes import Axes

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.images import Answers
from melanoma_exp.comparison.pairing import format_p
from melanoma_exp.evaluation.metrics import paired_tests, t_tests
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Floats
from melanoma_exp.evaluation.metrics.paired_tests import Resampled
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    SMALL,
    WIDTH,
    new_figure,
    plain_axes,
    save,
)
from melanoma_exp.tracking.archive import Archive

RESAMPLES = 1000
Weighted = Callable[[Answers, int, np.ndarray, Bootstrap, Floats, int], Floats]


@dataclass(frozen=True)
class Worth:
    """What a setup adds to a figure of its reference, or what leaving a part out takes away.

    Attributes:
        setup: Its name.
        estimate: Of the setup less the reference; the other way where the setup leaves a part out.
        low, high: The 95 % interval.
        p: After Holm's adjustment over the parts of the family.
        seeds: The estimate of each seed.
    """

    setup: str
    estimate: float
    low: float
    high: float
    p: float
    seeds: Sequence[float]


def balanced_accuracy(
    answers: Answers, seed: int, rows: np.ndarray, groups: Bootstrap, weights: Floats, melanoma: int
) -> Floats:
    """Returns the mean recall of the most probable class for each weighting, float64 (m,)."""
    label = answers.label[rows]
    right = (answers.probability[seed, rows].argmax(axis=1) == label).astype(np.float64)
    size = int(label.max()) + 1
    hits = groups.cells(label, size, rows, right) @ weights
    every = groups.cells(label, size, rows) @ weights
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.nanmean(hits / every, axis=0))


def macro_auc(
    answers: Answers, seed: int, rows: np.ndarray, groups: Bootstrap, weights: Floats, melanoma: int
) -> Floats:
    """Returns the mean area under the curve of each class against the rest, float64 (m,)."""
    areas = [
        _ranking(answers, seed, rows, groups, k).curve(weights).auc()
        for k in np.unique(answers.label[rows])
    ]
    return np.asarray(np.nanmean(areas, axis=0))


def specificity_at_95(
    answers: Answers, seed: int, rows: np.ndarray, groups: Bootstrap, weights: Floats, melanoma: int
) -> Floats:
    """Returns the specificity of the highest threshold that 95 % of melanomas reach, (m,)."""
    return _ranking(answers, seed, rows, groups, melanoma).curve(weights).specificity_at(0.95)


FIGURES: dict[str, Weighted] = {
    "balanced accuracy": balanced_accuracy,
    "macro AUC": macro_auc,
    "specificity at 95 %\nmelanoma sensitivity": specificity_at_95,
}


def _ranking(
    answers: Answers, seed: int, rows: np.ndarray, groups: Bootstrap, label: int
) -> Ranking:
    positive = answers.label[rows] == label
    return Ranking(positive, answers.probability[seed, rows, label], groups, rows)


def worth(compared: Comparison, figure: Weighted) -> list[Worth]:
    """Returns what each setup of a family is worth in one figure, on validation.

    A figure is computed in each fold and averaged over the folds. Its difference is tested as
    `comparison.pairing` does it for many images: a bootstrap over groups of images and runs, and
    Welch's test over the runs for training noise; p is the larger, and the interval spans both.

    Args:
        compared: The first setup of its title is what the others are tested against; one whose
            name says "without" leaves a part out.
        figure: Computed for weightings of the groups of images.
    """
    val = next(one for one in compared.tested if one.part == "val")
    melanoma = melanoma_of(tuple(compared.classes))
    reference = compared.title.split(" and ")[0]
    found = {setup(row): answers for row, answers in val.rows}
    groups = Bootstrap(found[reference].group, resamples=1, seed=0, confidence=0.95)
    chance = np.full(groups.groups, 1 / groups.groups)
    drawn = np.random.default_rng(0).multinomial(groups.groups, chance, RESAMPLES).T
    weights = np.concatenate([np.ones((groups.groups, 1)), drawn], axis=1)
    values = {
        name: _values(answers, figure, groups, weights, melanoma) for name, answers in found.items()
    }
    base = values.pop(reference)
    values = {name: values[name] for name in compared.title.split(" and ") if name in values}
    worths = [
        _worth(name, *((base, one) if "-without-" in name else (one, base)), groups.groups)
        for name, one in values.items()
    ]
    adjusted = paired_tests.holm([one.p for one in worths])
    return [
        Worth(one.setup, one.estimate, one.low, one.high, p, one.seeds)
        for one, p in zip(worths, adjusted, strict=True)
    ]


def _values(
    answers: Answers, figure: Weighted, groups: Bootstrap, weights: Floats, melanoma: int
) -> Floats:
    """Returns a figure by seed, fold and weighting, the first of which weighs all alike."""
    folds = [np.flatnonzero(answers.training == fold) for fold in np.unique(answers.training)]
    return np.array(
        [
            [figure(answers, seed, rows, groups, weights, melanoma) for rows in folds]
            for seed in range(len(answers.predicted))
        ]
    )


def _worth(name: str, more: Floats, less: Floats, groups: int) -> Worth:
    sides = [Resampled(x.mean(axis=1)[:, 0], x.mean(axis=1)[:, 1:].T, groups) for x in (more, less)]
    images = paired_tests.difference(*sides)
    folds = more.shape[1]
    runs = t_tests.welch(more[:, :, 0] / folds, less[:, :, 0] / folds)
    by_seed = (more - less)[:, :, 0].mean(axis=1)
    low, high = min(images.low, runs.low), max(images.high, runs.high)
    return Worth(name, images.estimate, low, high, max(images.p, runs.p), by_seed.tolist())


def draw_parts(comparisons: Sequence[Comparison], path: Path) -> list[str]:
    """Draws what each part is worth in three figures, a block for each family.

    Args:
        comparisons: The families.
        path: Of the figure.

    Returns:
        Nothing to say beyond the tables of `describe`.
    """
    panels_of = {
        title: [worth(one, figure) for one in comparisons] for title, figure in FIGURES.items()
    }
    blocks = [
        [one.setup.rsplit("-", 1)[-1] for one in block] for block in next(iter(panels_of.values()))
    ]
    height = 1.3 + 0.26 * sum(len(block) + 1.6 for block in blocks)
    figure = new_figure(WIDTH, height)
    panels = figure.subplots(1, len(FIGURES), sharey=True)
    labels, places = [], []
    y = 0.0
    for k, block in enumerate(blocks):
        title = comparisons[k].title.split(" and ")[0]
        is_added = "-with-" in comparisons[k].title
        head = f"added to {title}" if is_added else f"left out of {title}"
        labels.append(head)
        places.append(y)
        for axes, worths in zip(panels, panels_of.values(), strict=True):
            for j, one in enumerate(worths[k]):
                _draw(axes, y + 1 + j, one)
        labels += block
        places += [y + 1 + j for j in range(len(block))]
        y += len(block) + 1.6
    for axes, title in zip(panels, FIGURES, strict=True):
        axes.axvline(0, color=GREY, lw=0.8)
        axes.set_title(title, fontsize=BODY, loc="left")
        axes.grid(axis="x", color=FAINT, linewidth=0.6)
        plain_axes(axes)
    panels[0].set_yticks(places, labels, fontsize=BODY)
    for place, tick in zip(places, panels[0].get_yticklabels(), strict=True):
        if labels[places.index(place)].startswith(("added", "left out")):
            tick.set_fontweight("bold")
    panels[0].invert_yaxis()
    note = "with the part less without it; bar: 95 % interval; filled: Holm's p < .05; ticks: seeds"
    figure.supxlabel(note, fontsize=SMALL)
    save(figure, path)
    return []


def _draw(axes: Axes, y: float, one: Worth) -> None:
    axes.plot([one.low, one.high], [y, y], color=BLUE, lw=1.4)
    axes.plot(one.seeds, [y] * len(one.seeds), "|", ms=7, color=GREY)
    axes.plot([one.estimate], [y], "o", ms=6, color=BLUE, mfc=BLUE if one.p < 0.05 else "white")


def describe(archive: Archive, comparisons: Sequence[Comparison]) -> list[str]:
    """Returns a table in Markdown for each family: what each setup is worth, with intervals.

    Args:
        archive: Where the runs are.
        comparisons: The families.
    """
    lines = []
    for compared in comparisons:
        names = [name.replace("\n", " ") for name in FIGURES]
        columns = [worth(compared, figure) for figure in FIGURES.values()]
        reference = compared.title.split(" and ")[0]
        lines += [
            f"Against `{reference}` (less it; where a part is left out, `{reference}` less the "
            f"setup): estimate, 95 % interval, p after Holm over {len(columns[0])} setups:",
            "",
            f"| setup | {' | '.join(names)} |",
            "| --- | " + " | ".join("---" for _ in names) + " |",
        ]
        for row in zip(*columns, strict=True):
            cells = [
                f"{one.estimate:+.3f} ({one.low:+.3f} to {one.high:+.3f}), {format_p(one.p)}"
                for one in row
            ]
            lines.append(f"| {row[0].setup} | {' | '.join(cells)} |")
        lines.append("")
    return lines

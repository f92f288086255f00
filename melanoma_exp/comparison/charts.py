"""Geometry of the page's charts: numbers to places. The template draws them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 340.0, 230.0
LEFT, RIGHT, TOP, BOTTOM = 40.0, 24.0, 10.0, 30.0
APART = 11.0  # between the letters at the ends of lines

Points = Sequence[tuple[int, float]]
History = tuple[str, int, str, Mapping[str, Sequence[Points]]]


@dataclass(frozen=True)
class Series:
    """One line of a chart: the mean over runs, and each run.

    Attributes:
        letter: Of its row.
        colour: Number of the row's colour.
        dashed: Whether it is of training.
        name: Shown when pointed at.
        mean: (epoch, value) pairs; one point where the runs stopped at different epochs is the
            mean of those that got there.
        runs: The same of each run; empty for one run.
    """

    letter: str
    colour: int
    dashed: bool
    name: str
    mean: Points
    runs: Sequence[Points]


@dataclass(frozen=True)
class Line:
    """A series, placed: `d` is an SVG path, the letter stands at (x, y)."""

    series: Series
    d: str
    faint: Sequence[str]
    x: float
    y: float


@dataclass(frozen=True)
class Chart:
    """Lines and axes in a box of WIDTH by HEIGHT; ticks are (place, text)."""

    title: str
    note: str
    lines: Sequence[Line]
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    zero: float | None


def series(letter: str, colour: int, dashed: bool, name: str, runs: Sequence[Points]) -> Series:
    """Averages a row's runs, epoch by epoch."""
    found: dict[int, list[float]] = {}
    for points in runs:
        for step, value in points:
            if math.isfinite(value):
                found.setdefault(step, []).append(value)
    mean = [(step, float(np.mean(values))) for step, values in sorted(found.items())]
    return Series(letter, colour, dashed, name, mean, runs if len(runs) > 1 else [])


def gap(minuend: Sequence[Points], subtrahend: Sequence[Points]) -> list[Points]:
    """Returns run by run the difference of two figures at the epochs that have both."""
    found: list[Points] = []
    for first, second in zip(minuend, subtrahend, strict=True):
        others = dict(second)
        found.append([(step, value - others[step]) for step, value in first if step in others])
    return found


def chart(title: str, note: str, content: Sequence[Series]) -> Chart | None:
    """Places the series; None where there is no point."""
    values = [v for s in content for line in (s.mean, *s.runs) for _, v in line if math.isfinite(v)]
    steps = [step for s in content for step, _ in s.mean]
    if not values:
        return None
    y_ticks = _ticks(min(values), max(values))
    low, high = min(*values, y_ticks[0]), max(*values, y_ticks[-1])
    first, last = min(steps), max(max(steps), min(steps) + 1)

    def x(step: float) -> float:
        return LEFT + (step - first) / (last - first) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return TOP + (high - value) / ((high - low) or 1) * (HEIGHT - TOP - BOTTOM)

    def path(points: Points) -> str:
        kept = [(x(s), y(v)) for s, v in points if math.isfinite(v)]
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in kept) if kept else ""

    shown = [s for s in content if s.mean]
    places = _apart([y(s.mean[-1][1]) for s in shown])
    lines = [
        Line(s, path(s.mean), [path(r) for r in s.runs], x(s.mean[-1][0]) + 4, place)
        for s, place in zip(shown, places, strict=True)
    ]
    decimals = max(0, -math.floor(math.log10(y_ticks[1] - y_ticks[0]) + 1e-9))
    return Chart(
        title,
        note,
        lines,
        [(x(t), f"{t:.0f}") for t in _ticks(first, last) if t == int(t) and first <= t <= last],
        [(y(t), f"{t:.{decimals}f}".replace("-", "−")) for t in y_ticks if low <= t <= high],
        y(0) if low < 0 < high else None,
    )


def curves(histories: Sequence[History]) -> list[Chart]:
    """Returns the charts of accuracy, loss and gap.

    Args:
        histories: For each row letter, colour, label and by metric the series of its runs.
    """
    charts = []
    for what in ("accuracy", "loss"):
        content = [
            series(letter, colour, part == "train", f"{letter} {label}: {words}", runs)
            for letter, colour, label, history in histories
            for part, words in (("train", "training"), ("val", "validation"))
            if (runs := history[f"{part}/{what}"])
        ]
        charts.append(chart(what.capitalize(), "validation solid, training dashed", content))
    content = [
        series(
            letter,
            colour,
            False,
            f"{letter} {label}: gap",
            gap(history["train/accuracy"], history["val/accuracy"]),
        )
        for letter, colour, label, history in histories
    ]
    note = "training minus validation accuracy"
    charts.append(chart("Generalisation gap", note, content))
    return [c for c in charts if c is not None]


def _ticks(low: float, high: float) -> list[float]:
    """Returns 3 to 7 round values that reach at least over the range's inside."""
    span = (high - low) or abs(high) or 1.0
    power = 10 ** math.floor(math.log10(span / 4))
    step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 6)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [round(k * step, 12) for k in range(first, max(last, first + 1) + 1)]


def _apart(places: Sequence[float]) -> list[float]:
    """Returns the places moved so that no two are nearer than APART."""
    moved = list(places)
    order = np.argsort(places, kind="stable")
    for before, after in zip(order, order[1:], strict=False):
        moved[after] = max(moved[after], moved[before] + APART)
    over = max(moved, default=0.0) - (HEIGHT - BOTTOM)
    return [place - max(over, 0.0) for place in moved]

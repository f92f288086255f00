"""What readers of the figures and their callers rely on."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from figure_parts import NINE, pictures, worth
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from melanoma_exp.evaluation.metrics.interval import Estimate
from melanoma_exp.report import figures


def settings() -> dict[str, object]:
    # Reading the backend would choose one.
    return {key: matplotlib.rcParams[key] for key in matplotlib.rcParams if key != "backend"}


def gallery(count: int) -> Figure:
    truth = np.arange(12) % count
    predicted = (truth + 1) % count
    probabilities = np.full((12, count), 1 / count)
    names = [f"ISIC_00{index:05d}_downsampled_image_of_dataset" for index in range(12)]
    images = pictures(12, 48, 64)
    return figures.mistakes(images, names, truth, predicted, probabilities, NINE[-count:], "Test")


def untold(count: int) -> Estimate:
    return Estimate(np.full(count, 0.5), *np.full((2, count), np.nan))


def explained(count: int) -> Figure:
    maps = np.random.default_rng(0).random((2, count, 48, 64))
    titles = ["false positive: pigmented benign keratosis >0.99"] * count
    return figures.explanations(
        pictures(count, 48, 64),
        maps[0],
        maps[1],
        titles,
        ["ISIC_0000000"] * count,
        "Test (leaky): what speaks for melanoma (true class, probability); rank correlation with "
        "maps of random weights 0.12 on average",
    )


EVERY: dict[str, Callable[[int], Figure]] = {
    "examples": lambda c: figures.examples(pictures(c, 64, 64), np.arange(c), NINE[-c:]),
    "augmentation": lambda c: figures.augmentation_preview(
        pictures(2, 64, 64), pictures(2, c, 64, 64)
    ),
    "counts": lambda c: figures.class_counts(NINE[-c:], np.full(c, 77_777), np.full(c, 123_456)),
    "curves": lambda c: figures.curves(
        {"train/loss": [2.0] * c, "val/loss": [2.001] * c, "train/accuracy": [1.0] * c}, "leaky"
    ),
    "confusion": lambda c: figures.confusion(np.full((c, c), 12_345), NINE[-c:], "A title " * 20),
    "mistakes": gallery,
    "scores": lambda c: figures.class_scores(
        NINE[-c:],
        np.full(c, 12_345),
        {k: untold(c) for k in ("recall", "precision", "AUC")},
        "Test",
    ),
    "alerts": lambda c: figures.alert_curves(worth({2: 1, 9: 90}[c]).alerts, "Test"),
    "decision": lambda c: figures.decision_curves(worth({2: 1, 9: 90}[c]).alerts, "Test"),
    "reliability": lambda c: figures.reliability(
        worth({2: 1, 9: 90}[c]).calibration, 1.23, "Test (leaky)"
    ),
    "explanations": explained,
}


@pytest.mark.parametrize("count", [2, 9])
@pytest.mark.parametrize("name", EVERY)
def test_no_text_is_cut_or_touches_another(name: str, count: int) -> None:
    figure = EVERY[name](count)
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    # Axes keep tick labels outside of their limits among their children without drawing them.
    idle = set()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                if not low <= tick.get_loc() <= high:
                    idle |= {tick.label1, tick.label2}
    shown = [text for text in shown if text not in idle]
    x0, y0, x1, y1 = np.array([text.get_window_extent(renderer).extents for text in shown]).T
    cut = (x0 < 0) | (y0 < 0) | (x1 > figure.bbox.width) | (y1 > figure.bbox.height)
    assert not [shown[index].get_text() for index in np.flatnonzero(cut)]
    across = np.minimum.outer(x1, x1) - np.maximum.outer(x0, x0)
    along = np.minimum.outer(y1, y1) - np.maximum.outer(y0, y0)
    touching = np.argwhere(np.triu((across > 2) & (along > 2), k=1))
    assert not [[shown[index].get_text() for index in pair] for pair in touching]
    assert figure.get_figwidth() <= 7.01


def test_equal_inputs_save_equal_bytes_without_software(tmp_path: Path) -> None:
    for index in range(2):
        figures.save(EVERY["scores"](9), tmp_path / f"{index}.png")
    first, second = ((tmp_path / f"{index}.png").read_bytes() for index in range(2))
    assert first == second
    assert b"Software" not in first and b"IHDR" in first
    assert int.from_bytes(first[16:20]) == 1400  # 7 inches at 200 dots an inch


def test_neither_pyplot_nor_global_settings_are_touched() -> None:
    code = "import sys, melanoma_exp.report.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        before = settings()
        for draw in EVERY.values():
            draw(2)
        assert settings() == before

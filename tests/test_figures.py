"""What readers of the figures and their callers rely on."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import yaml
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from melanoma_exp import figures
from melanoma_exp.metrics import assessment, threshold
from melanoma_exp.metrics.interval import Bootstrap, Estimate
from melanoma_exp.metrics.spec import Evaluation

ROOT = Path(__file__).parents[1]

NINE = [
    "actinic keratosis",
    "basal cell carcinoma",
    "dermatofibroma",
    "melanoma",
    "nevus",
    "pigmented benign keratosis",
    "seborrheic keratosis",
    "squamous cell carcinoma",
    "vascular lesion",
]


def pictures(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)


def texts(figure: Figure) -> list[str]:
    found = [text.get_text() for text in figure.findobj(Text)]
    return [" ".join(text.split()) for text in found if text.strip()]


def drawn(figure: Figure) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


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


def worth(images: int) -> assessment.Assessment:
    """Of a model that knows something, or of a single image."""
    spec = Evaluation.model_validate(
        yaml.safe_load((ROOT / "conf/evaluation/default.yaml").read_text())
    ).model_copy(update={"resamples": 100})
    random = np.random.default_rng(0)
    truth = random.integers(0, 9, 90)
    logits = random.normal(size=(90, 9)) + 2 * np.eye(9)[truth]
    draws = [Bootstrap(np.array([f"g{k}" for k in range(n)]), 100, 1, 0.95) for n in (90, images)]
    alerts = {"melanoma": ("melanoma",), "malignant": ("melanoma", "squamous cell carcinoma")}
    decisions = threshold.decide(logits, truth, NINE, alerts, spec.threshold, draws[0])
    return assessment.assess(
        logits[:images], truth[:images], NINE, [{}] * images, decisions, spec, draws[1]
    )


def explained(count: int) -> Figure:
    maps = np.random.default_rng(0).random((2, count, 48, 64))
    titles = ["false alarm: pigmented benign keratosis >0.99"] * count
    return figures.explanations(
        pictures(count, 48, 64), maps[0], maps[1], titles, ["ISIC_0000000"] * count,
        "Test (leaky): what speaks for melanoma (true class, probability); rank correlation with "
        "maps of random weights 0.12 on average",
    )  # fmt: skip


def untold(count: int) -> Estimate:
    return Estimate(np.full(count, 0.5), *np.full((2, count), np.nan))


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
    code = "import sys, melanoma_exp.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        before = settings()
        for draw in EVERY.values():
            draw(2)
        assert settings() == before


def test_examples_take_the_first_image_of_each_class() -> None:
    images = pictures(5, 64, 64)
    figure = figures.examples(images, np.array([2, 0, 2, 0, 2]), ["a", "b", "c"])
    assert [axes.get_title() for axes in figure.axes] == ["a", "b", "c"]
    assert np.array_equal(drawn(figure), images[[1, 0]])
    assert "no image" in texts(figure)


def test_augmentation_rows_start_with_the_original() -> None:
    originals, draws = pictures(2, 64, 64), pictures(2, 3, 64, 64)[:, :, ::-1]
    figure = figures.augmentation_preview(originals, draws)
    expected = np.concatenate([originals[:, None], draws], axis=1).reshape(8, 64, 64, 3)
    assert np.array_equal(drawn(figure), expected)
    assert figure.axes[0].get_title() == "original"


def test_class_counts_state_the_imbalance_of_filled_classes() -> None:
    figure = figures.class_counts(["a", "b", "c"], np.array([90, 0, 20]), np.array([90, 90, 90]))
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert "4.5 : 1, 1 empty" in labels[0]
    assert "1.0 : 1)" in labels[1]


def test_a_single_epoch_is_visible_and_labelled() -> None:
    history = {"train/loss": [1.5], "train/accuracy": [0.25], "learning_rate": [0.777]}
    figure = figures.curves(history, mark="leaky")
    figure.draw_without_rendering()
    for axes, value in zip(figure.axes, ("1.500", "0.250"), strict=True):
        (line,) = axes.lines
        assert line.get_marker() == "o" and list(line.get_xdata()) == [1]
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == [1]
        assert value in [text.get_text() for text in axes.texts]
    assert "Warning: leaky" in texts(figure)
    assert "0.777" not in texts(figure)


def test_curves_survive_values_that_are_not_finite() -> None:
    figure = figures.curves({"train/loss": [1.0, float("nan")], "val/loss": [float("inf")] * 2})
    figure.draw_without_rendering()
    assert {"nan", "inf", "not recorded"} <= set(texts(figure))


def test_confusion_shows_totals_and_a_dash_for_an_empty_row() -> None:
    matrix = np.array([[150, 50, 0], [0, 0, 0], [1, 0, 249]], dtype=np.uint8)
    figure = figures.confusion(matrix, ["a", "b", "c"], "test")
    counts, shares = ([text.get_text() for text in axes.texts] for axes in figure.axes)
    assert counts == ["150", "50", "0", "0", "0", "0", "1", "0", "249"]
    assert shares == ["75", "25", "0", "-", "-", "-", "<1", "0", "100"]
    assert {"n = 200", "n = 0", "n = 250"} <= set(texts(figure))
    with pytest.raises(ValueError, match="shape"):
        figures.confusion(matrix, ["a", "b"], "test")


def test_confusion_text_contrasts_with_its_cell() -> None:
    figure = figures.confusion(np.array([[99, 0], [0, 1]]), ["a", "b"], "test")
    dark, *light = [text.get_color() for text in figure.axes[0].texts]
    assert dark == "white" and "white" not in light


class Watched(np.ndarray):
    """Images that note which of them are read."""

    read: list[int] = []

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        """Note the index of a whole image."""
        if self.ndim == 4:
            Watched.read.append(int(key))
        return np.asarray(super().__getitem__(key))


def test_mistakes_are_the_most_confident_wrong_ones_in_order() -> None:
    truth = np.array([0, 0, 1, 1, 0, 1])
    probabilities = np.array(
        [[0.99, 0.01], [0.3, 0.7], [0.9, 0.1], [0.8, 0.2], [0.45, 0.55], [0.01, 0.99]]
    )
    images = pictures(6, 64, 64)
    Watched.read.clear()
    figure = figures.mistakes(
        images.view(Watched),
        list("uvwxyz"),
        truth,
        probabilities.argmax(axis=1),
        probabilities,
        ["benign", "malignant"],
        "Validation (leaky)",
        count=3,
    )
    assert Watched.read == [2, 3, 1]
    assert np.array_equal(drawn(figure), images[[2, 3, 1]])
    shown = figure.axes[:3]
    assert [axes.get_xlabel() for axes in shown] == ["w", "x", "v"]
    assert [" ".join(axes.get_title().split()) for axes in shown] == [
        "malignant → benign 0.90",
        "malignant → benign 0.80",
        "benign → malignant 0.70",
    ]
    expected = "Validation (leaky), 3 most confident of 4 mistakes (6 images)"
    assert any(expected in text for text in texts(figure))


def test_no_mistakes_says_so() -> None:
    truth = np.array([0, 1])
    figure = figures.mistakes(
        pictures(2, 64, 64), ["u", "v"], truth, truth, np.eye(2), ["a", "b"], "Test"
    )
    assert any("Test, no mistakes" in text for text in texts(figure))


def test_images_of_another_dtype_are_refused() -> None:
    with pytest.raises(ValueError, match="uint8"):
        figures.examples(np.zeros((1, 64, 64, 3)), np.array([0]), ["a"])


def test_class_scores_write_a_dash_for_undefined_values() -> None:
    recall = Estimate(np.array([0.25, np.nan]), np.array([0.1, np.nan]), np.array([0.6, np.nan]))
    figure = figures.class_scores(["a", "b"], np.array([4, 0]), {"recall": recall}, "Test")
    assert [text.get_text() for text in figure.axes[0].texts] == ["0.25", "-"]
    assert {"a (n = 4)", "b (n = 0)", "recall", "Test"} <= set(texts(figure))
    (_, lines, _) = figure.axes[0].collections
    assert lines.get_segments()[0].tolist() == [[0.1, 0], [0.6, 0]]


def test_the_operating_point_lies_on_the_curve_of_its_part() -> None:
    found = worth(90).alerts
    roc = figures.alert_curves(found, "Test").axes[0]
    (point,) = (c for c in roc.containers if c.get_label() == "operating point")
    at = found["melanoma"].figures
    assert point.lines[0].get_xydata()[0].tolist() == pytest.approx(
        [1 - at["specificity"].value, at["sensitivity"].value]
    )


def test_a_part_of_one_side_says_that_it_has_no_curve() -> None:
    assert sum("undefined" in text for text in texts(EVERY["alerts"](2))) >= 2

"""What the figures show: which images, which numbers, and what is undefined."""

from pathlib import Path

import numpy as np
import pytest
from figure_parts import pictures, texts, worth
from matplotlib.figure import Figure

from melanoma_exp.evaluation.metrics.interval import Estimate
from melanoma_exp.report import figures
from melanoma_exp.report.figures.svg import inline_svg


def drawn(figure: Figure) -> list[np.ndarray]:
    return [axes.images[0].get_array() for axes in figure.axes if axes.images]


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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", [r"a$\bad{$", "IMG_$1_$2", "\x1b[31mred", "5 $ and 6 $"])
def test_a_name_is_drawn_as_it_is_without_formulas_and_control_characters(
    name: str, tmp_path: Path
) -> None:
    truth, classes = np.array([0, 1]), [name, "b"]
    points = {"val/loss": [(1, 0.5)]}
    for k, figure in enumerate(
        (
            figures.examples(pictures(2, 64, 64), truth, classes),
            figures.class_counts(classes, np.array([2, 3]), np.array([0, 0])),
            figures.confusion(np.eye(2, dtype=int), classes, "Test"),
            figures.mistakes(
                pictures(2, 64, 64), classes, truth, 1 - truth, np.eye(2)[::-1], classes, "Test"
            ),
            figures.sweep_curves([figures.SweepCurve(name, False, points)]),
        )
    ):
        figures.save(figure, tmp_path / f"{k}.png")
        shown = name.replace("$", r"\$").replace("\x1b", "\ufffd")
        assert any(shown in text for text in texts(figure)), texts(figure)


def test_what_a_line_says_of_itself_in_a_page_is_text_alone() -> None:
    figure = Figure()
    figure.subplots().plot([1, 2], [1, 2], gid="line")
    drawn = inline_svg(figure, {}, {"line": "\x1b[31m<b>run"})
    assert "<title>\ufffd[31m&lt;b&gt;run</title>" in drawn


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
    at = found["melanoma"].metrics
    assert point.lines[0].get_xydata()[0].tolist() == pytest.approx(
        [1 - at["specificity"].value, at["sensitivity"].value]
    )


def test_a_part_of_one_side_says_that_it_has_no_curve() -> None:
    figure = figures.alert_curves(worth(1).alerts, "Test")
    assert sum("undefined" in text for text in texts(figure)) >= 2


def test_a_map_that_shows_nothing_is_marked() -> None:
    maps = np.zeros((2, 8, 8))
    maps[0, 2, 2] = 1
    figure = figures.explanations(
        pictures(2, 8, 8), maps, np.ones((2, 8, 8)), ["a", "b"], ["x", "y"], "Test"
    )
    places = [axes for axes in figure.axes for text in axes.texts if text.get_text() == "empty"]
    assert places == [figure.axes[3]]

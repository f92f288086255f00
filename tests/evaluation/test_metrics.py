"""Every metric equals scikit-learn's or a hand-computed one, also where a class is absent."""

import numpy as np
import pytest
from sklearn import metrics as reference

from melanoma_exp.evaluation.metrics import classes
from melanoma_exp.evaluation.metrics.interval import Bootstrap


def evaluated(truth: np.ndarray, probability: np.ndarray, group: list[str] | None = None):  # noqa: ANN201
    names = np.array(group or [f"g{k:05d}" for k in range(len(truth))])
    return classes.evaluate(truth, probability, Bootstrap(names, 200, 1, 0.95))


@pytest.fixture(scope="module")
def case() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, 200)
    logits = random.normal(size=(200, 4)) + np.eye(4)[truth]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return truth, probability


def test_overall_metrics_are_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    predicted = probability.argmax(axis=1)
    overall, _ = evaluated(truth, probability)
    area = {"multi_class": "ovr"}
    expected = {
        "accuracy": reference.accuracy_score(truth, predicted),
        "balanced_accuracy": reference.balanced_accuracy_score(truth, predicted),
        "macro_f1": reference.f1_score(truth, predicted, average="macro"),
        "macro_auc": reference.roc_auc_score(truth, probability, average="macro", **area),
        "weighted_auc": reference.roc_auc_score(truth, probability, average="weighted", **area),
        "kappa": reference.cohen_kappa_score(truth, predicted),
        "top2_accuracy": reference.top_k_accuracy_score(truth, probability, k=2),
        "log_loss": reference.log_loss(truth, probability),
        "brier": reference.brier_score_loss(truth, probability, scale_by_half=False),
    }
    assert {k: float(v.value) for k, v in overall.items()} == pytest.approx(expected)
    for name, estimate in overall.items():
        assert estimate.low < estimate.value < estimate.high, name


def test_metrics_of_classes_are_scikit_learns(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    predicted = probability.argmax(axis=1)
    _, table = evaluated(truth, probability)
    precision, recall, f1, support = reference.precision_recall_fscore_support(truth, predicted)
    matrix = reference.confusion_matrix(truth, predicted)
    np.testing.assert_allclose(table.precision.value, precision)
    np.testing.assert_allclose(table.recall.value, recall)
    np.testing.assert_allclose(table.f1.value, f1)
    np.testing.assert_array_equal(table.support, support)
    np.testing.assert_array_equal(table.confusion, matrix)
    for k in range(4):
        others = truth != k
        assert table.specificity.value[k] == pytest.approx((predicted[others] != k).mean())
        assert table.auc.value[k] == pytest.approx(
            reference.roc_auc_score(~others, probability[:, k])
        )
        assert table.average_precision.value[k] == pytest.approx(
            reference.average_precision_score(~others, probability[:, k])
        )


def test_a_hand_computed_case() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    overall, table = evaluated(truth, np.eye(3)[[0, 0, 1, 1, 2, 2]])
    assert overall["accuracy"].value == pytest.approx(4 / 6)
    assert overall["balanced_accuracy"].value == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert overall["macro_f1"].value == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert overall["kappa"].value == pytest.approx((4 / 6 - 12 / 36) / (1 - 12 / 36))
    assert overall["brier"].value == pytest.approx(2 * 2 / 6)
    np.testing.assert_array_equal(table.confusion, [[2, 1, 0], [0, 1, 1], [0, 0, 1]])
    np.testing.assert_allclose(table.recall.value, [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(table.precision.value, [1, 1 / 2, 1 / 2])


def test_intervals_of_shares_are_wilsons(case: tuple[np.ndarray, np.ndarray]) -> None:
    truth, probability = case
    overall, table = evaluated(truth, probability)
    right = int((probability.argmax(axis=1) == truth).sum())
    z, share = 1.959964, right / 200
    half = z / (1 + z**2 / 200) * np.sqrt(share * (1 - share) / 200 + z**2 / 4 / 200**2)
    centre = (share + z**2 / 400) / (1 + z**2 / 200)
    found = overall["accuracy"]
    np.testing.assert_allclose([found.low, found.high], [centre - half, centre + half], atol=1e-6)
    grouped, _ = evaluated(
        truth, probability, [f"g{k // 4}" for k in np.argsort(np.argsort(truth))]
    )
    assert grouped["accuracy"].value == found.value
    assert np.isfinite(table.auc.low).all()


def test_a_class_without_images_is_left_out_of_every_mean() -> None:
    truth, probability = np.array([0, 0, 1, 1]), np.eye(3)[[0, 1, 1, 2]]
    overall, table = evaluated(truth, probability)
    assert overall["balanced_accuracy"].value == pytest.approx(0.5)
    assert np.isfinite(overall["macro_auc"].value) and np.isfinite(overall["macro_f1"].value)
    for figure in ("recall", "f1", "auc", "average_precision"):
        assert np.isnan(getattr(table, figure).value[2]), figure
    assert table.precision.value[2] == 0 and table.specificity.value[2] == pytest.approx(3 / 4)


@pytest.mark.parametrize("rows", [1, 3])
def test_one_class_only_has_the_metrics_that_are_defined(rows: int) -> None:
    overall, table = evaluated(np.zeros(rows, int), np.tile([0.6, 0.4], (rows, 1)))
    assert overall["accuracy"].value == overall["balanced_accuracy"].value == 1
    assert 0 < overall["accuracy"].low < overall["accuracy"].high == 1
    assert 0 <= overall["balanced_accuracy"].low < 0.8 and overall["balanced_accuracy"].high == 1
    assert np.isnan(overall["macro_auc"].value) and np.isnan(overall["kappa"].value)
    assert np.isnan(table.specificity.value[0]) and np.isnan(table.recall.value[1])


@pytest.mark.parametrize("answer", [[0.25] * 4, [0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.0, 0.0]])
def test_one_answer_for_all_images_is_worth_chance(answer: list[float]) -> None:
    truth = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    overall, table = evaluated(truth, np.tile(answer, (100, 1)))
    named = sorted(range(4), key=lambda k: -answer[k])[:2]
    assert overall["top2_accuracy"].value == np.isin(truth, named).mean()
    assert overall["accuracy"].value == (truth == named[0]).mean()
    assert overall["balanced_accuracy"].value == 0.25 and overall["kappa"].value == 0
    assert overall["macro_auc"].value == overall["weighted_auc"].value == 0.5
    np.testing.assert_allclose(table.average_precision.value, table.support / 100)


def test_two_named_classes_hold_the_predicted_one_also_where_probabilities_tie() -> None:
    random = np.random.default_rng(3)
    probability = random.integers(1, 4, (300, 5)) / 4
    probability /= probability.sum(axis=1, keepdims=True)
    truth = random.integers(0, 5, 300)
    overall, _ = evaluated(truth, probability)
    assert overall["accuracy"].value < overall["top2_accuracy"].value < 0.5


def test_equal_probabilities_are_chance_and_a_zero_has_a_finite_loss() -> None:
    truth = np.array([0, 1, 2, 0])
    overall, table = evaluated(truth, np.full((4, 3), 1 / 3))
    assert overall["macro_auc"].value == 0.5 and overall["kappa"].value == 0
    assert overall["log_loss"].value == pytest.approx(np.log(3))
    np.testing.assert_allclose(table.average_precision.value, [0.5, 0.25, 0.25])
    overall, _ = evaluated(truth, np.eye(3)[[1, 1, 2, 0]])
    assert np.isfinite(overall["log_loss"].value)


def test_two_lesions_of_a_class_prove_little() -> None:
    """One class with one lesion: its recall and its area are wide."""
    truth = np.array([0] * 20 + [1])
    probability = np.column_stack([1 - truth * 0.9, truth * 0.9])
    _, table = evaluated(truth, probability)
    assert table.recall.value[1] == 1 and table.recall.low[1] < 0.25
    assert table.auc.value[1] == 1 and table.auc.low[1] < 0.5 and table.auc.high[1] == 1

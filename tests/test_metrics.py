"""Every figure equals scikit-learn's or a hand-computed one, also where a class is absent."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from melanoma_exp import metrics


def test_a_hand_computed_case() -> None:
    truth = np.array([0, 0, 0, 1, 1, 2])
    guess = np.array([0, 0, 1, 1, 2, 2])
    probability = np.eye(3)[guess]
    figures = metrics.scores(truth, probability, positive=[1], name="melanoma")
    assert figures["accuracy"] == pytest.approx(4 / 6)
    assert figures["balanced_accuracy"] == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert figures["macro_f1"] == pytest.approx((0.8 + 0.5 + 2 / 3) / 3)
    assert figures["melanoma_sensitivity"] == pytest.approx(1 / 2)
    assert figures["melanoma_specificity"] == pytest.approx(3 / 4)
    table = metrics.class_table(truth, probability)
    np.testing.assert_array_equal(table.confusion, [[2, 1, 0], [0, 1, 1], [0, 0, 1]])
    np.testing.assert_allclose(table.recall, [2 / 3, 1 / 2, 1])
    np.testing.assert_allclose(table.precision, [1, 1 / 2, 1 / 2])


def test_macro_auc_is_scikit_learns() -> None:
    random = np.random.default_rng(0)
    probability = random.dirichlet(np.ones(4), 200)
    truth = random.integers(0, 4, 200)
    expected = roc_auc_score(truth, probability, multi_class="ovr", average="macro")
    assert metrics.scores(truth, probability, [], "")["macro_auc"] == pytest.approx(expected)


def test_a_class_without_images_is_left_out_of_every_mean() -> None:
    truth, probability = np.array([0, 0, 1, 1]), np.eye(3)[[0, 1, 1, 2]]
    figures = metrics.scores(truth, probability, [2], "melanoma")
    assert figures["balanced_accuracy"] == pytest.approx(0.5)
    assert np.isfinite(figures["macro_auc"]) and np.isfinite(figures["macro_f1"])
    assert np.isnan(figures["melanoma_sensitivity"])
    assert np.isnan(metrics.class_table(truth, probability).recall[2])


def test_several_labels_can_make_up_the_alerted_class() -> None:
    truth, probability = np.array([0, 1, 2, 2]), np.eye(3)[[1, 0, 2, 0]]
    figures = metrics.scores(truth, probability, [0, 1], "malignant")
    assert figures["malignant_sensitivity"] == 1.0  # mixed up with each other, still alerted
    assert figures["malignant_specificity"] == 0.5

"""Temperature and calibration error: recovered, by hand, at the edges."""

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics import calibration
from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap


def draws(n: int) -> Bootstrap:
    return Bootstrap(np.array([f"g{k}" for k in range(n)]), 100, 1, 0.95)


def test_a_known_temperature_is_recovered() -> None:
    """Labels drawn from softmax(logits); the logits are then 2.5 times overconfident."""
    random = np.random.default_rng(3)
    logits = 2 * random.normal(size=(20_000, 3))
    truth = (random.random((20_000, 1)) > softmax(logits).cumsum(axis=1)).sum(axis=1)
    assert calibration.fit_temperature(2.5 * logits, truth) == pytest.approx(2.5, rel=0.03)
    few = calibration.fit_temperature(2.5 * logits[:300], truth[:300])
    own = np.arange(300), truth[:300]

    def loss(heat: float) -> float:
        return -np.log(softmax(2.5 * logits[:300], heat)[own]).mean()

    assert all(loss(few) <= loss(few * factor) for factor in (0.5, 0.9, 0.999, 1.001, 1.1, 2))


def test_separable_and_reversed_logits_stay_within_bounds() -> None:
    truth = np.array([0, 1, 2])
    assert calibration.fit_temperature(np.eye(3) * 1e3, truth) == pytest.approx(0.05, rel=1e-3)
    assert calibration.fit_temperature(-np.eye(3) * 9, truth) == pytest.approx(20, rel=1e-3)


def test_logits_that_know_nothing_of_classes_need_no_temperature() -> None:
    flat = np.repeat(np.array([[0.0], [3.0], [-7.5]]), 4, axis=1)
    assert calibration.fit_temperature(flat, np.array([0, 1, 2])) == 1


def test_calibration_error_by_hand() -> None:
    said = np.array([0.1, 0.1, 0.4, 0.6, 0.9, 0.9])
    happened = np.array([0, 0, 1, 0, 1, 1], bool)
    found = calibration.reliability(said, happened, 2, draws(6))
    # Halves by width: (0.1 0.1 0.4 | 0 0 1) and (0.6 0.9 0.9 | 0 1 1), each 0.4 off in sum.
    assert found.ece_width == pytest.approx((0.4 + 0.4) / 6)
    assert found.ece_mass == pytest.approx((0.4 + 0.4) / 6)
    np.testing.assert_allclose(found.predicted, [0.2, 0.8])
    np.testing.assert_allclose(found.observed.value, [1 / 3, 2 / 3])
    thirds = calibration.reliability(said, happened, 3, draws(6))
    assert thirds.ece_mass == pytest.approx((0.2 + 0 + 0.2) / 6)
    assert thirds.images.tolist() == [2, 2, 2]


def test_ties_share_a_bin_and_edges_have_one() -> None:
    found = calibration.reliability(np.ones(7), np.ones(7, bool), 10, draws(7))
    assert found.images.tolist() == [7] and found.ece_width == found.ece_mass == 0
    single = calibration.reliability(np.zeros(1), np.ones(1, bool), 10, draws(1))
    assert single.ece_width == single.ece_mass == 1

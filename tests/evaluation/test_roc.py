"""Curves and areas equal scikit-learn's, with the weights of resamples and with ties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from melanoma_exp.evaluation.metrics.interval import Bootstrap
from melanoma_exp.evaluation.metrics.roc import Ranking


def bootstrap(n: int) -> Bootstrap:
    return Bootstrap(np.array([f"g{k:05d}" for k in range(n)]), 100, 1, 0.95)


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Few distinct scores, so that many tie, and counts as a resample has them."""
    random = np.random.default_rng(seed)
    n = int(random.integers(6, 60))
    positive = random.random(n) < 0.4
    positive[:2] = True, False
    score = np.round(random.random(n) + 0.3 * positive, int(random.integers(1, 4)))
    weight = random.integers(0, 4, n)
    weight[:2] = 1
    return positive, score, weight


def curve(positive: np.ndarray, score: np.ndarray, weight: np.ndarray | None = None) -> object:
    n = len(positive)
    weights = np.ones((n, 1)) if weight is None else weight[:, None].astype(float)
    return Ranking(positive, score, bootstrap(n)).curve(weights)


@given(st.integers(0, 10_000))
def test_areas_are_scikit_learns_on_the_repeated_rows(seed: int) -> None:
    positive, score, weight = drawn(seed)
    found = curve(positive, score, weight)
    truth, scores = np.repeat(positive, weight), np.repeat(score, weight)
    assert found.auc()[0] == pytest.approx(roc_auc_score(truth, scores))
    assert found.average_precision()[0] == pytest.approx(average_precision_score(truth, scores))
    # Turned round, the area above a sensitivity is one below a false positive rate; McClish's
    # standardisation is undone.
    standard = roc_auc_score(~truth, -scores, max_fpr=0.2)
    low, high = 0.2**2 / 2, 0.2
    assert found.partial_auc(0.8)[0] == pytest.approx((2 * standard - 1) * (high - low) + low)
    rate, sensitivity, threshold = roc_curve(truth, scores, drop_intermediate=False)
    for share in (0.5, 0.9, 0.95):
        best = sensitivity[rate <= 1 - share + 1e-9].max()
        assert found.sensitivity_at(share)[0] == pytest.approx(best)
        best = 1 - rate[sensitivity >= share - 1e-9].min()
        assert found.specificity_at(share)[0] == pytest.approx(best)
        reached = np.unique(score[positive])[found.reaching(share)[0]]
        assert reached == threshold[sensitivity >= share - 1e-9].max()
    band = found.band(20)[:, 0]
    each = [found.sensitivity_at(1 - k / 20)[0] for k in range(21)]
    np.testing.assert_allclose(band, each)


def test_a_hand_computed_case() -> None:
    """Scores 4 3 2 1 of + - + -: three of four pairs in order."""
    found = curve(np.array([1, 0, 1, 0], bool), np.array([4.0, 3, 2, 1]))
    assert found.auc()[0] == 0.75
    assert found.average_precision()[0] == pytest.approx((1 + 2 / 3) / 2)
    assert found.partial_auc(0.8)[0] == pytest.approx(0.2 * 0.5)
    assert found.sensitivity_at(0.9)[0] == 0.5 and found.specificity_at(0.95)[0] == 0.5


def test_equal_scores_are_chance_and_perfect_ones_are_one() -> None:
    positive = np.array([1, 0, 1, 0, 0], bool)
    flat, perfect = curve(positive, np.full(5, 0.3)), curve(positive, positive.astype(float))
    assert flat.auc()[0] == 0.5 and flat.average_precision()[0] == pytest.approx(0.4)
    assert flat.partial_auc(0.8)[0] == pytest.approx(0.02)
    assert flat.sensitivity_at(0.9)[0] == 0 and flat.specificity_at(0.95)[0] == 0
    assert perfect.auc()[0] == perfect.average_precision()[0] == 1
    assert perfect.partial_auc(0.8)[0] == pytest.approx(0.2)


@pytest.mark.parametrize("positive", [[1, 1], [0, 0], [1], [0]])
def test_one_sided_parts_have_no_curve(positive: list[int]) -> None:
    found = curve(np.array(positive, bool), np.linspace(0.2, 0.8, len(positive)))
    figures = [
        found.auc(),
        found.average_precision(),
        found.partial_auc(0.8),
        found.sensitivity_at(0.9),
        found.specificity_at(0.95),
        *found.band(4),
    ]
    assert np.isnan(figures).all()


def test_rows_of_a_part_are_ranked_alone() -> None:
    positive, score, _ = drawn(3)
    rows = np.flatnonzero(np.arange(len(positive)) % 3 != 2)
    some = Ranking(positive[rows], score[rows], bootstrap(len(positive)), rows)
    area = some.curve(np.ones((len(positive), 1))).auc()[0]
    assert area == pytest.approx(roc_auc_score(positive[rows], score[rows]))

"""Score intervals hold the truth as often as they say, also of perfect classes and few lesions."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from melanoma_exp.evaluation.metrics.interval import Bootstrap, wilson
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals import f1
from melanoma_exp.evaluation.metrics.score_intervals.areas import area
from melanoma_exp.evaluation.metrics.score_intervals.average_precision import average_precision
from melanoma_exp.evaluation.metrics.score_intervals.proportions import Shares, score_interval

Z = 1.959964


def draws(group: np.ndarray) -> Bootstrap:
    return Bootstrap(group.astype(str), 1, 1, 0.95)


@pytest.mark.parametrize("n", [1, 3, 30, 400])
def test_of_one_proportion_it_is_wilsons(n: int) -> None:
    one = np.ones(1)
    for hits in sorted({0, 1, n // 3, n - 1, n}):
        share = hits / n
        half = Z / (1 + Z**2 / n) * np.sqrt(share * (1 - share) / n + Z**2 / 4 / n**2)
        centre = (share + Z**2 / (2 * n)) / (1 + Z**2 / n)
        expected = max(0, centre - half), min(1, centre + half)
        assert score_interval(share * one, n * one, one, Z) == pytest.approx(expected, abs=1e-7)


def test_its_ends_are_what_the_score_test_just_accepts() -> None:
    """They are z standard errors from the estimate, at the most likely pair of their mean."""
    share, size, weight = np.array([0.9, 0.5]), np.array([10.0, 8.0]), np.array([0.5, 0.5])
    for end in score_interval(share, size, weight, Z):
        first = np.linspace(max(1e-9, 2 * end - 1), min(1 - 1e-9, 2 * end), 400_001)[1:-1]
        pair = np.stack([first, 2 * end - first])
        likelihood = size[:, None] * (
            share[:, None] * np.log(pair) + (1 - share[:, None]) * np.log(1 - pair)
        )
        likely = pair[:, likelihood.sum(axis=0).argmax()]
        error = np.sqrt((weight**2 * likely * (1 - likely) / size).sum())
        assert abs(share.mean() - end) == pytest.approx(Z * error, rel=1e-4)


def test_classes_that_are_all_right_are_not_taken_for_perfect() -> None:
    low, high = score_interval(np.ones(9), np.full(9, 3.0), np.full(9, 1 / 9), Z)
    assert 0.8 < low < 0.9 and high == 1
    assert score_interval(np.zeros(2), np.full(2, 4.0), np.full(2, 0.5), Z)[0] == 0


def test_photographs_of_a_lesion_that_agree_count_once() -> None:
    hits = np.zeros((2, 40))
    hits[0, :15], hits[1, 20:32] = 3, 3
    rows = np.zeros((2, 40))
    rows[0, :20], rows[1, 20:] = 3, 3
    np.testing.assert_allclose(Shares(hits, rows).sizes(), 20, rtol=0.06)
    np.testing.assert_allclose(Shares(hits / 3, rows / 3).sizes(), 20)
    np.testing.assert_allclose(Shares(rows, rows).sizes(), 20)  # perfect: nothing else is known


def test_areas_are_scikit_learns_and_wider_where_photographs_share_lesions() -> None:
    random = np.random.default_rng(4)
    positive = random.random(90) < 0.4
    score = (random.normal(size=90) + positive).round(1)
    alone = draws(np.arange(90))
    found = area([Ranking(positive, score, alone)], alone)
    assert found.value == pytest.approx(roc_auc_score(positive, score))
    lesions = draws(np.repeat(np.arange(90), 3))
    tripled = np.repeat(positive, 3), np.repeat(score, 3)
    thrice = area([Ranking(*tripled, lesions)], lesions)
    assert thrice.value == pytest.approx(found.value)
    assert (thrice.low, thrice.high) == pytest.approx((found.low, found.high), abs=0.01)
    one_class = np.ones(90, bool)
    assert np.isnan(area([Ranking(one_class, score, alone)], alone).value)


def test_the_more_lesions_the_narrower() -> None:
    widths = []
    for n in (12, 60, 300):
        positive = np.arange(n) % 3 == 0
        score = np.arange(n) % 7 + 3.0 * positive
        alone = draws(np.arange(n))
        found = area([Ranking(positive, score, alone)], alone)
        mean = alone.mean_share(np.arange(n) % 4 > 0, np.arange(n) % 3)
        widths.append((found.high - found.low, mean.high - mean.low))
    assert (np.diff(widths, axis=0) < 0).all()


@pytest.mark.parametrize(("skill", "photographs"), [(0.0, 1), (2.5, 1), (2.5, 4)])
def test_they_hold_the_truth(skill: float, photographs: int) -> None:
    """As the test part of the ISIC set; benchmarks/intervals.py has all settings."""
    random = np.random.default_rng(2)
    counts = [16] * 6 + [3, 3, 16]
    held = []
    label = np.repeat(np.arange(9), counts)
    # Of a class's lesions a fixed share is right, and all photographs of a lesion agree.
    recall = 1 / (1 + np.exp(-skill * np.linspace(0.2, 1.8, 9)))
    for _ in range(150):
        right = np.repeat(random.random(118) < recall[label], photographs)
        lesion, classes = (np.repeat(x, photographs) for x in (np.arange(118), label))
        found = draws(np.array([f"{k:03}" for k in lesion])).mean_share(right, classes)
        held.append(found.low <= recall.mean() <= found.high)
    assert 0.9 <= np.mean(held) <= 0.995


def test_a_share_of_few_groups_of_four_holds_the_truth() -> None:
    random = np.random.default_rng(5)
    held = []
    for _ in range(400):
        chance = random.beta(1.4, 0.6, 15)  # of a lesion's four photographs, mean 0.7
        found = wilson(random.binomial(4, chance), np.full(15, 4), 0.95)
        held.append(found.low <= 0.7 <= found.high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_f1_and_average_precision_are_scikit_learns_and_tell_a_perfect_few_from_proof() -> None:
    random = np.random.default_rng(6)
    truth, predicted = random.integers(0, 4, 90), random.integers(0, 4, 90)
    score = random.normal(size=90).round(1) + (truth == 1)
    alone = draws(np.arange(90))
    mean, single = f1.mean(truth, predicted, alone), f1.of_class(truth == 1, predicted == 1, alone)
    precision = average_precision(Ranking(truth == 1, score, alone), alone)
    assert mean.value == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert single.value == pytest.approx(f1_score(truth == 1, predicted == 1))
    assert precision.value == pytest.approx(average_precision_score(truth == 1, score))
    few = draws(np.arange(12))
    three = np.arange(12) % 4
    for found in (
        f1.mean(three, three, few),
        f1.of_class(three == 1, three == 1, few),
        average_precision(Ranking(three == 1, three == 1.0, few), few),
    ):
        assert found.value == found.high == 1 and 0.3 < found.low < 0.9
    assert np.isnan(f1.of_class(three == 9, three == 1, few).value)


def test_f1_and_average_precision_of_tripled_photographs_know_no_more() -> None:
    random = np.random.default_rng(7)
    truth = np.arange(80) % 3
    predicted = np.where(random.random(80) < 0.6, truth, random.integers(0, 3, 80))
    score = (random.normal(size=80) + (truth == 1)).round(1)

    def all_of(times: int) -> list[float]:
        t, p, s = (np.repeat(x, times) for x in (truth, predicted, score))
        bootstrap = draws(np.array([f"{k:02}" for k in np.repeat(np.arange(80), times)]))
        found = [f1.mean(t, p, bootstrap), f1.of_class(t == 1, p == 1, bootstrap)]
        found.append(average_precision(Ranking(t == 1, s, bootstrap), bootstrap))
        return [end for one in found for end in (one.value, one.low, one.high)]

    assert all_of(3) == pytest.approx(all_of(1), abs=0.03)


@pytest.mark.parametrize("recall", [0.35, 0.75, 0.97])
def test_intervals_of_f1_hold_the_truth(recall: float) -> None:
    random = np.random.default_rng(3)
    label = np.repeat(np.arange(5), [16, 16, 16, 4, 4])
    alone = draws(np.arange(len(label)))

    def answers(label: np.ndarray) -> np.ndarray:
        return np.where(
            random.random(len(label)) < recall, label, random.integers(0, 5, len(label))
        )

    many = np.repeat(label, 2000)
    truth = f1_score(many, answers(many), average="macro")
    found = [f1.mean(label, answers(label), alone) for _ in range(150)]
    assert 0.9 <= np.mean([one.low <= truth <= one.high for one in found]) <= 0.995

"""Paired tests against cases computed by hand."""

import math

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics import paired_tests, t_tests
from melanoma_exp.evaluation.metrics.paired_tests import GroupBootstrap, Resampled


def rights(only_first: int, only_second: int, both: int, neither: int) -> tuple[np.ndarray, ...]:
    pairs = [(1, 0)] * only_first + [(0, 1)] * only_second + [(1, 1)] * both + [(0, 0)] * neither
    first, second = np.array(pairs, bool).T
    return first, second


@pytest.mark.parametrize(
    ("b", "c", "p"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (4, 0, 2 / 16),  # both tails of four throws: HHHH, TTTT
        (1, 6, 2 * (1 + 7) / 128),
        (5, 5, 1.0),
        (2, 8, 2 * (1 + 10 + 45) / 1024),
    ],
)
def test_mcnemar_is_the_exact_binomial_test(b: int, c: int, p: float) -> None:
    result = paired_tests.mcnemar(*rights(b, c, 20, 30))
    assert (result.only_first, result.only_second) == (b, c)
    assert result.p == pytest.approx(p)


def test_holm_is_the_textbook_case() -> None:
    # 4 x .01, 3 x .02 < the one before, 2 x .03 likewise, 1 x .04: each at least its forerunner.
    assert paired_tests.holm([0.01, 0.04, 0.03, 0.02]) == pytest.approx([0.04, 0.06, 0.06, 0.06])
    assert paired_tests.holm([0.5, 0.9, 0.7]) == [1.0, 1.0, 1.0]
    assert paired_tests.holm([]) == []


def test_the_corrected_t_test_is_the_formula() -> None:
    values = [0.01, 0.03, 0.02, 0.04, 0.00]
    # mean .02, s^2 = .00025, variance of the mean .00025 (1/5 + 1/4) = .0001125; t = 1.8856.
    result = t_tests.corrected_resampled_t(values, 0.25)
    error = math.sqrt(0.0001125)
    assert result.estimate == pytest.approx(0.02)
    # The 97.5 % point of t with 4 degrees of freedom is 2.776445.
    assert result.high - 0.02 == pytest.approx(2.776445 * error, rel=1e-6)
    # t with 4 degrees: P(|T| > t) = 1 - sin(a) (1 + cos(a)^2 / 2), tan(a) = t / 2.
    a = math.atan(0.02 / error / 2)
    assert result.p == pytest.approx(1 - math.sin(a) * (1 + math.cos(a) ** 2 / 2))
    plain = t_tests.corrected_resampled_t(values, 0.0)
    assert plain.p < result.p


def test_welch_is_the_formula() -> None:
    # Means 2 and 5; variances of the means 1/3 and 4/3; t = -3 / sqrt(5/3) = -2.3238;
    # degrees of freedom (5/3)^2 / ((1/3)^2 / 2 + (4/3)^2 / 2) = 2.941.
    result = t_tests.welch(np.array([[1], [2], [3]]), np.array([[3], [5], [7]]))
    assert result.estimate == pytest.approx(-3)
    # Between the 97.5 % points for 2 and 3 degrees, 4.3027 and 3.1824, near the latter.
    assert 3.1824 < (result.high + 3) / math.sqrt(5 / 3) < 3.26
    assert 0.10 < result.p < 0.11
    same, other = np.array([[1], [1]]), np.array([[2], [2]])
    assert t_tests.welch(same, same).p == 1 and t_tests.welch(same, other).p == 0
    assert math.isnan(t_tests.welch(same * math.nan, other).p)


def test_trainings_on_folds_add_up_to_the_metric_and_each_has_its_noise() -> None:
    random = np.random.default_rng(0)
    cell, fold = random.integers(-1, 3, 60), random.integers(0, 5, 60)
    hit = random.random((2, 60)) < 0.6
    parts = paired_tests.contributions(hit, cell, fold)
    shares = paired_tests.GroupBootstrap(np.arange(60), resamples=1).share(hit, cell)
    assert parts.shape == (2, 5) and parts.sum(axis=1) == pytest.approx(shares.observed)
    nowhere = paired_tests.contributions(hit, np.full(60, -1), fold)
    assert np.isnan(nowhere.sum())

    # Two repeats of five equally uncertain trainings a side: one variance of the difference from
    # ten of one degree each. The 97.5 % point of t with 10 degrees is 2.2281; with the sums of
    # two repeats alone it would be that of 2 degrees, 4.3027.
    a = np.array([[0.0] * 5, [0.2] * 5])
    result = t_tests.welch(a, a + 0.1)
    error = math.sqrt(2 * 5 * 0.02 / 2)
    assert result.estimate == pytest.approx(-0.5)
    assert result.high + 0.5 == pytest.approx(2.2281 * error, rel=1e-4)


def test_two_equal_recipes_over_folds_are_rarely_called_different() -> None:
    random = np.random.default_rng(1)
    spread = np.array([0.5, 1.0, 1.0, 2.0, 3.0])  # folds differ in how much luck matters
    trials = random.normal(0, spread, (2000, 2, 2, 5))
    alarms = np.mean([t_tests.welch(a, b).p < 0.05 for a, b in trials])
    assert 0.01 < alarms < 0.055  # two seeds a side: on the careful side


def test_folds_without_variance_do_not_divide_by_zero() -> None:
    assert t_tests.corrected_resampled_t([0.0, 0.0], 0.25).p == 1.0
    same = t_tests.corrected_resampled_t([0.1, 0.1], 0.25)
    assert same.estimate == pytest.approx(0.1) and math.isnan(same.p)  # nothing to judge it by


def test_the_t_interval_is_the_formula() -> None:
    # Mean 2, s = 1, 4.302653 is the 97.5 % point of t with 2 degrees of freedom.
    assert t_tests.t_half_width([1, 2, 3]) == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)
    assert math.isnan(t_tests.t_half_width([1]))


LABEL = np.array([0, 0, 0, 1, 1, 2])
HIT = np.array([[1, 1, 0, 1, 0, 1]], bool)


def test_a_share_by_class_is_balanced_accuracy() -> None:
    found = GroupBootstrap(np.arange(6), seed=1).share(HIT, LABEL)
    assert found.observed == pytest.approx([(2 / 3 + 1 / 2 + 1) / 3])
    assert found.drawn.shape == (2000, 1)


def test_a_share_in_one_cell_is_sensitivity_and_an_empty_one_is_unknown() -> None:
    bootstrap = GroupBootstrap(np.arange(6))
    assert bootstrap.share(HIT, np.where(LABEL == 0, 0, -1)).observed == pytest.approx([2 / 3])
    assert np.isnan(bootstrap.share(HIT, np.full(6, -1)).observed).all()


def test_a_resample_takes_whole_groups() -> None:
    # Two groups of fifty: their share of hits can only be 0, 1/2 or 1.
    hit = np.tile([True, False], 50)[None]
    group = np.array([0, 1] * 50)
    drawn = GroupBootstrap(group).share(hit, np.zeros(100, int)).drawn
    assert set(np.round(np.unique(drawn), 9)) <= {0.0, 0.5, 1.0}
    assert 0.4 < (drawn == 0.5).mean() < 0.6


def test_the_bootstrap_interval_of_many_images_is_the_normal_one() -> None:
    random = np.random.default_rng(5)
    first, second = random.random(2000) < 0.7, random.random(2000) < 0.6
    cell = np.zeros(2000, int)
    bootstrap = GroupBootstrap(np.arange(2000))
    result = paired_tests.difference(
        bootstrap.share(first[None], cell), bootstrap.share(second[None], cell)
    )
    d = first.astype(float) - second
    half = 1.96 * d.std() / math.sqrt(2000)
    assert result.estimate == pytest.approx(d.mean())
    assert result.high - result.low == pytest.approx(2 * half, rel=0.08)
    assert result.p == pytest.approx(2 / 2001, rel=0.03)


@pytest.mark.parametrize("groups", [5, 12, 40])
def test_the_interval_excludes_zero_where_p_is_below_five_per_cent(groups: int) -> None:
    random = np.random.default_rng(groups)
    bootstrap, cell = GroupBootstrap(np.arange(groups)), np.zeros(groups, int)
    agreed, excluded = [], []
    for _ in range(60):
        first, second = random.random((2, groups)) < [[0.8], [0.4]]
        shares = [bootstrap.share(x[None], cell) for x in (first, second)]
        found = paired_tests.difference(*shares)
        excluded.append(not found.low <= 0 <= found.high)
        agreed.append(excluded[-1] == (found.p < 0.05))
    assert np.mean(agreed) > 0.95 and any(excluded)


def test_equal_models_differ_in_no_resample() -> None:
    figure = GroupBootstrap(np.arange(6)).share(HIT, LABEL)
    result = paired_tests.difference(figure, figure)
    assert (result.estimate, result.low, result.high, result.p) == (0, 0, 0, 1)


def test_several_runs_widen_the_interval_by_their_own_spread() -> None:
    # The images say nothing (no spread between resamples): what is left are the runs.
    first = Resampled(np.array([0.4, 0.6]), np.tile([0.4, 0.6], (2000, 1)), 500)
    second = Resampled(np.array([0.5]), np.full((2000, 1), 0.5), 500)
    result = paired_tests.difference(first, second)
    assert result.estimate == pytest.approx(0)
    # Two draws out of two: both low with 1/4, one of each with 1/2, both high with 1/4.
    assert (result.low, result.high) == pytest.approx((-0.1, 0.1))
    assert result.p > 0.5


def test_four_discordant_images_are_four_coin_tosses_where_the_bootstrap_is_too_sure() -> None:
    first = np.array([1.0] * 4 + [0.0] * 12)
    second = np.zeros(16)
    cell, group = np.zeros(16, int), np.arange(16)
    assert paired_tests.swap_p(first, second, cell, group) == pytest.approx(2 / 16, abs=0.03)
    bootstrap = GroupBootstrap(group)
    shares = [bootstrap.share(x[None] > 0, cell) for x in (first, second)]
    assert paired_tests.difference(*shares).p < 0.05


def test_swapping_moves_whole_groups() -> None:
    first, second = np.ones(40), np.zeros(40)
    pairs = np.repeat([0, 1], 20)  # two lesions can never show anything: (T, T) or (H, H) is 1/2
    assert paired_tests.swap_p(first, second, np.zeros(40, int), pairs) == pytest.approx(
        0.5, abs=0.05
    )
    assert paired_tests.swap_p(first, second, np.zeros(40, int), np.arange(40)) == pytest.approx(
        1 / 2001
    )
    assert math.isnan(paired_tests.swap_p(first, second, np.full(40, -1), pairs))


def test_swapping_keeps_its_level_where_nothing_differs() -> None:
    random = np.random.default_rng(0)
    group = np.arange(60)
    cell = np.repeat([0, 1, 2], 20)
    p = [
        paired_tests.swap_p(*(random.random((2, 60)) < 0.5).astype(float), cell, group, seed=k)
        for k in range(100)
    ]
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_the_same_seed_draws_the_same() -> None:
    shares = [GroupBootstrap(np.arange(6), seed=4).share(HIT, LABEL).drawn for _ in range(2)]
    assert np.array_equal(*shares)

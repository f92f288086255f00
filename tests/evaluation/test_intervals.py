"""Intervals are those of the literature, count groups and not images, and are reproducible."""

import numpy as np
import pytest
from scipy.stats import t

from melanoma_exp.evaluation.metrics.interval import Bootstrap, percentiles, wilson
from melanoma_exp.evaluation.metrics.score_intervals.proportions import score_interval


def own(n: int) -> np.ndarray:
    return np.array([f"g{k:05d}" for k in range(n)])


def mean(bootstrap: Bootstrap, values: np.ndarray) -> object:
    added = bootstrap.cells(np.zeros(len(values), int), 1, values=values)
    count = bootstrap.cells(np.zeros(len(values), int), 1)
    figures = bootstrap.estimate(lambda w: {"mean": (added @ w)[0] / (count @ w)[0]})
    return figures["mean"]


@pytest.mark.parametrize(
    ("hits", "rows", "low", "high"),
    # The score interval of 81 in 263 stands in Newcombe, Statistics in Medicine 17, 1998, as do
    # 15 in 148, 0 in 20 and 1 in 29.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_is_that_of_the_literature(hits: int, rows: int, low: float, high: float) -> None:
    found = wilson(np.arange(rows) < hits, np.ones(rows), 0.95)
    assert found.value == hits / rows
    assert (found.low, found.high) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


def test_images_of_a_lesion_that_agree_count_once() -> None:
    hit = np.arange(40) < 28
    thrice = wilson(3 * hit.astype(int), np.full(40, 3), 0.95)
    one, share = np.ones(1), np.full(1, 28 / 40)
    # The design effect is an estimate from 40 groups, so the quantile is Student's.
    low, high = score_interval(share, 40 * one, one, t.ppf(0.975, 39))
    np.testing.assert_allclose((thrice.low, thrice.high), (low, high))
    once = wilson(hit.astype(int), np.ones(40), 0.95)
    assert low < once.low and once.high < high and high - low < 1.05 * (once.high - once.low)
    all_hit = wilson(np.full(5, 4), np.full(5, 4), 0.95)
    assert all_hit.low < wilson(np.ones(5), np.ones(5), 0.95).low and all_hit.high == 1


def test_images_of_a_lesion_that_disagree_count_no_more_than_independent_ones() -> None:
    one = np.ones(1)
    found = wilson(np.ones(20), np.full(20, 2), 0.95)
    expected = score_interval(one / 2, 40 * one, one, t.ppf(0.975, 19))
    assert (found.low, found.high) == pytest.approx(expected)


def test_no_rows_have_no_share() -> None:
    found = wilson(np.zeros(3), np.zeros(3), 0.95)
    assert np.isnan([found.value, found.low, found.high]).all()


def test_the_bootstrap_has_the_spread_of_theory() -> None:
    """The mean of 400 independent numbers of variance 1 has a standard error of 1/20."""
    values = np.random.default_rng(1).normal(size=400)
    values = (values - values.mean()) / values.std()
    found = mean(Bootstrap(own(400), 4000, 1, 0.95), values)
    assert found.value == pytest.approx(0, abs=1e-12)
    assert (found.low, found.high) == (
        pytest.approx(-0.098, abs=7e-3),
        pytest.approx(0.098, abs=7e-3),
    )
    grouped = mean(Bootstrap(np.repeat(own(400), 3), 4000, 1, 0.95), np.repeat(values, 3))
    assert (grouped.low, grouped.high) == (pytest.approx(found.low), pytest.approx(found.high))
    narrow = mean(Bootstrap(own(400), 4000, 1, 0.5), values)
    assert narrow.high == pytest.approx(0.0337, abs=5e-3)


def test_equal_seeds_draw_equally_whatever_the_order_of_rows() -> None:
    random = np.random.default_rng(2)
    group, values = random.choice(own(30), 90), random.normal(size=90)
    order = random.permutation(90)
    first = mean(Bootstrap(group, 300, 5, 0.95), values)
    again = mean(Bootstrap(group[order], 300, 5, 0.95), values[order])
    other = mean(Bootstrap(group, 300, 6, 0.95), values)
    assert (first.low, first.high) == (pytest.approx(again.low), pytest.approx(again.high))
    assert first.low != other.low


def test_a_metric_that_never_varies_or_is_mostly_undefined_has_no_interval() -> None:
    many = 10**6
    assert np.isnan(percentiles(np.ones(500), 0.95, many)).all()
    assert np.isnan(percentiles(np.append(np.arange(70.0), np.full(30, np.nan)), 0.95, many)).all()
    low, high = percentiles(np.append(np.arange(90.0), np.full(10, np.nan)), 0.9, many)
    assert (low, high) == (pytest.approx(4.45, abs=1e-3), pytest.approx(84.55, abs=1e-3))
    few = percentiles(np.arange(90.0), 0.9, 10)
    assert few[0] < 2.5 and few[1] > 86.5
    single = mean(Bootstrap(np.array(["a"] * 5), 200, 1, 0.95), np.arange(5.0))
    assert single.value == 2 and np.isnan(single.low) and np.isnan(single.high)


def test_every_resample_has_as_many_groups_as_there_are() -> None:
    bootstrap = Bootstrap(own(17), 300, 1, 0.95)
    seen = []
    bootstrap.estimate(lambda w: seen.append(w) or {"sum": w.sum(axis=0)})
    drawn = np.concatenate(seen[1:], axis=1)
    assert drawn.shape == (17, 300) and (drawn.sum(axis=0) == 17).all()
    assert drawn.mean(axis=1) == pytest.approx(np.ones(17), abs=0.25)

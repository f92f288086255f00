"""The interval of a difference where few images differ, against the formula and what is known."""

import math

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics.score_intervals import paired

Z = 1.959964


def test_one_row_a_group_is_the_published_interval() -> None:
    """Bonett and Price: 3 and 1 of 20 pairs differ; 4/22 and 2/22 of 22 with two added."""
    gain = np.repeat([1.0, -1.0, 0.0], [3, 1, 16])
    found = paired.difference(gain, np.zeros(20, int), np.arange(20), 0.95)
    first, second = 4 / 22, 2 / 22
    centre = first - second
    half = Z * math.sqrt((first + second - centre**2) / 22)
    assert found.estimate == pytest.approx(0.1)
    assert (found.low, found.high) == pytest.approx((centre - half, centre + half), abs=1e-5)


def test_three_images_answered_alike_prove_nothing() -> None:
    found = paired.difference(np.zeros(3), np.zeros(3, int), np.arange(3), 0.95)
    assert found.estimate == 0 and found.p == 1
    assert found.low == -found.high and 0.5 < found.high <= 1
    many = paired.difference(np.zeros(3000), np.zeros(3000, int), np.arange(3000), 0.95)
    assert 0 < many.high < 0.001


def test_the_other_way_round_is_the_negative() -> None:
    random = np.random.default_rng(0)
    gain, cell = random.integers(-1, 2, 90).astype(float), random.integers(-1, 4, 90)
    group = random.integers(0, 30, 90)
    one, other = (paired.difference(x, cell, group, 0.95) for x in (gain, -gain))
    assert (other.estimate, other.low, other.high) == pytest.approx(
        (-one.estimate, -one.high, -one.low)
    )
    assert other.p == pytest.approx(one.p)
    assert one.low < one.estimate < one.high and (one.p < 0.05) == (one.low > 0 or one.high < 0)


def test_copies_of_a_photograph_add_nothing() -> None:
    """A lesion photographed five times alike is one; apart they would be five."""
    gain = np.repeat([1.0, -1.0, 0.0], [12, 4, 40])
    cell = np.zeros(56, int)
    group = np.arange(56)
    once = paired.difference(gain, cell, group, 0.95)
    copied = [np.repeat(x, 5) for x in (gain, cell, group)]
    alike = paired.difference(*copied, 0.95)
    apart = paired.difference(copied[0], copied[1], np.arange(280), 0.95)
    width = [x.high - x.low for x in (once, alike, apart)]
    # One correlation more is estimated, which Student's quantile pays for.
    assert width[0] <= width[1] < 1.1 * width[0] and width[2] < 0.6 * width[1]


def test_no_image_has_no_interval() -> None:
    found = paired.difference(np.zeros(4), np.full(4, -1), np.arange(4), 0.95)
    assert math.isnan(found.estimate) and math.isnan(found.p)

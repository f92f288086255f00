"""What drawing rows by weight promises: the shares asked for, anew every epoch, for any process."""

import numpy as np
import pytest
from pydantic import ValidationError

from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Parts

COUNTS = [400, 90, 10]


@pytest.fixture
def rows(table):
    """Five hundred rows of three classes and one that has none."""
    return table(np.repeat([0, 1, 2], COUNTS).tolist(), classes=4)


@pytest.fixture
def loader(rows, option):
    """Gives a training loader of five hundred small images."""
    pixels = np.random.default_rng(0).integers(0, 256, (len(rows), 8, 8, 3), np.uint8)

    def build(seed=1, batch_size=32, augment="dihedral", **changes):
        plan = option("balance", "sampling", **changes).apply(rows, seed)
        reader = Reader(pixels, pixels[:0])
        return Loader.training(plan, reader, option("augment", augment), batch_size, seed)

    return build


def same(first, second) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0])
def test_a_class_is_seen_as_often_as_its_power_says(loader, rows, power):
    one = loader(power=power, images=20_000)
    seen = np.bincount(rows.label[one.order(0)], minlength=4) / 20_000
    expected = np.array([400.0, 90, 10, 0]) ** (1 - power) * [1, 1, 1, 0]
    np.testing.assert_allclose(seen, expected / expected.sum(), atol=0.015)


def test_rows_of_a_class_are_seen_alike_and_with_replacement(loader, rows):
    one = loader(power=1.0, images=30_000)
    often = np.bincount(one.order(0), minlength=len(rows))[rows.label == 1]
    assert often.mean() == pytest.approx(10_000 / 90, rel=0.05)
    assert often.std() == pytest.approx(np.sqrt(10_000 / 90), rel=0.3)  # Poisson


def test_an_epoch_has_the_images_asked_for(loader, rows):
    assert (loader().images, loader().steps) == (500, 16)
    one = loader(images=70)
    assert (one.images, one.steps) == (70, 3)
    assert [len(one.batch(0, step)[0]) for step in range(3)] == [32, 32, 6]
    assert loader(images=1200).order(2).shape == (1200,)


@pytest.mark.parametrize("images", [70, 500, 1200])
def test_before_its_epoch_rows_are_taken_in_turn_and_from_it_on_drawn_by_weight(
    loader, rows, images
):
    one = loader(power=1.0, images=images, from_epoch=3)
    always = loader(power=1.0, images=images)
    for epoch in (0, 1):
        often = np.bincount(one.order(epoch), minlength=500)
        assert one.order(epoch).shape == (images,) and often.max() - often.min() <= 1
    assert not np.array_equal(one.order(0), one.order(1))
    for epoch in (2, 3):
        assert np.array_equal(one.order(epoch), always.order(epoch))


def test_class_weights_act_from_their_epoch_on(rows, option):
    pixels = np.zeros((len(rows), 8, 8, 3), np.uint8)
    plans = [option("balance", "class_weight", from_epoch=epoch).apply(rows, 1) for epoch in (3, 1)]
    policy = option("augment", "none")
    late, always = (Loader.training(p, Reader(pixels, pixels[:0]), policy, 32, 1) for p in plans)
    for epoch in range(4):
        for expected, found in zip(always.batch(epoch, 0), late.batch(epoch, 0), strict=True):
            if expected.dtype == np.float32 and epoch < 2:
                assert (found == 1).all() and not (expected == 1).all()
            else:
                assert np.array_equal(found, expected)
    assert plans[0].digest != plans[1].digest


def test_batches_are_a_function_of_seed_epoch_and_step(loader):
    one, other = loader(), loader()
    batches = [(epoch, step) for epoch in (0, 3) for step in range(one.steps)]
    expected = {batch: one.batch(*batch) for batch in batches}
    for batch in np.random.default_rng(1).permutation(batches).tolist():
        found = other.batch(*batch)
        assert same(found, expected[tuple(batch)])
        shares = [other.batch(*batch, share) for share in ((0, 3), (3, 20), (20, 32))]
        joined = (np.concatenate(column) for column in zip(*shares, strict=True))
        assert same(joined, found)
    orders = [loader(seed).order(epoch).tolist() for seed in (1, 2) for epoch in (0, 1)]
    assert len(set(map(tuple, orders))) == 4


def test_a_row_drawn_twice_is_varied_twice(loader):
    one = loader(power=1.0, batch_size=500)
    images, order = one.batch(0, 0)[0], one.order(0)
    row = np.bincount(order).argmax()
    variants = {image.tobytes() for image in images[order == row]}
    assert (order == row).sum() >= 8 and len(variants) > 2


def test_a_later_start_draws_what_an_earlier_start_would_have(loader):
    one = loader(images=100)
    whole = list(one.dataset(1).as_numpy_iterator())
    tail = list(one.dataset(1, first=2).as_numpy_iterator())
    assert len(whole) == 4 and all(same(a, b) for a, b in zip(whole[2:], tail, strict=True))


def test_the_rows_stay_those_of_the_split_and_the_plan_has_its_own_digest(rows, option):
    plans = {
        name: option("balance", name).apply(rows, 1)
        for name in ("none", "sampling", "class_weight")
    }
    for power in (0.0, 1.0):
        plans[f"power {power}"] = option("balance", "sampling", power=power).apply(rows, 1)
    plans["fewer"] = option("balance", "sampling", images=30).apply(rows, 1)
    plans["children"] = option("balance", "add_per_class", count=3).apply(rows, 1)
    assert len({plan.digest for plan in plans.values()}) == len(plans)
    none = rows.take(np.arange(0))
    splits = {Parts(plan.samples, none, none).digest for plan in plans.values()}
    assert splits == {Parts(rows, none, none).digest}
    assert plans["fewer"].per_epoch == 30 and plans["none"].per_epoch == 500
    assert plans["children"].per_epoch == 509
    assert plans["none"].weights is None and plans["sampling"].weights.shape == (500,)


def test_a_plan_digest_does_not_depend_on_the_order_of_rows(rows, option):
    shuffled = rows.take(np.random.default_rng(0).permutation(len(rows)))
    for name in ("none", "sampling"):
        balance = option("balance", name)
        assert balance.apply(rows, 1).digest == balance.apply(shuffled, 2).digest
    other = rows.take(np.arange(1, len(rows)))
    assert option("balance", "none").apply(other, 1).digest != balance.apply(rows, 1).digest


@pytest.mark.parametrize("changes", [{"power": 1.1}, {"power": -0.1}, {"images": 0}])
def test_a_wrong_sampling_is_refused(option, changes):
    with pytest.raises(ValidationError):
        option("balance", "sampling", **changes)

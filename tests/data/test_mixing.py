"""What mixup and cutmix promise: soft labels that tell the truth, the same whoever draws them."""

from dataclasses import replace

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from melanoma_exp.augment.batch import Cutmix, Mixup
from melanoma_exp.data.loader import Loader, Reader

SIDE = 16
ROWS = 50
MIXUP = {"kind": "mixup", "alpha": 0.4, "probability": 1}
CUTMIX = {"kind": "cutmix", "alpha": 1.0, "probability": 1}


@pytest.fixture
def rows(table):
    """Fifty rows of three classes."""
    return table(np.repeat([0, 1, 2], [30, 15, 5]).tolist())


@pytest.fixture
def loader(rows, option):
    """Gives a training loader of fifty images, each of one grey that no other has."""
    pixels = np.repeat(np.arange(ROWS, dtype=np.uint8) * 5, SIDE * SIDE * 3)
    pixels = pixels.reshape(ROWS, SIDE, SIDE, 3)

    def build(*steps, augment="none", balance="none", batch_size=8, seed=1, **changes):
        plan = option("balance", balance).apply(rows, seed)
        policy = option("augment", augment, batch=steps, **changes)
        return Loader.training(plan, Reader(pixels, pixels[:0]), policy, batch_size, seed)

    return build


def epoch_of(loader, epoch=0):
    """All images, targets and weights of an epoch."""
    batches = [loader.batch(epoch, step) for step in range(loader.steps)]
    return tuple(np.concatenate(column) for column in zip(*batches, strict=True))


def same(first, second) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("steps", [[MIXUP], [CUTMIX], [MIXUP, CUTMIX]])
@pytest.mark.parametrize("augment", ["none", "flip_rotate_zoom"])
def test_a_mixed_batch_is_the_same_in_any_order_size_and_share(loader, steps, augment):
    one, other = loader(*steps, augment=augment), loader(*steps, augment=augment)
    batches = [(epoch, step) for epoch in (0, 1) for step in range(one.steps)]
    expected = {batch: one.batch(*batch) for batch in batches}
    for batch in np.random.default_rng(3).permutation(batches).tolist():
        assert same(other.batch(*batch), expected[tuple(batch)])
        cuts = [(0, 1), (1, 5), (5, 8)]
        shares = [other.batch(*batch, share) for share in cuts]
        joined = (np.concatenate(column) for column in zip(*shares, strict=True))
        assert same(joined, expected[tuple(batch)]), batch
    whole = loader(*steps, augment=augment, batch_size=ROWS)
    assert same(epoch_of(whole, 1), epoch_of(one, 1))


def test_a_later_start_mixes_as_an_earlier_start_would_have(loader):
    one = loader(MIXUP, CUTMIX)
    whole = list(one.dataset(1).as_numpy_iterator())
    tail = list(one.dataset(1, first=4).as_numpy_iterator())
    assert len(tail) == one.steps - 4
    assert all(same(a, b) for a, b in zip(whole[4:], tail, strict=True))
    assert whole[0][1].dtype == np.float32 and whole[0][1].shape == (8, 3)


def test_epochs_positions_and_seeds_have_their_own_mix(loader):
    labels = [epoch_of(loader(MIXUP, seed=seed), epoch)[1] for seed in (1, 2) for epoch in (0, 1)]
    assert len({label.tobytes() for label in labels}) == 4
    shares = [label.max(axis=1) for label in labels]
    assert all(len(np.unique(share)) > ROWS / 3 for share in shares)
    mixed = (shares[0] < 1) & (shares[1] < 1)
    assert mixed.sum() > 5 and (shares[0] != shares[1])[mixed].all()


def test_targets_are_the_shares_of_the_two_images_seen(loader, rows):
    """Greys tell the images and their shares, for the partner's grey is another one."""
    one = loader(MIXUP)
    images, targets, weights = epoch_of(one)
    hard, order = np.eye(3)[rows.label], one.order(0)
    partners = set()
    for position, (image, target) in enumerate(zip(images, targets, strict=True)):
        row, grey = order[position], float(image[0, 0, 0])
        assert (image == image[0, 0, 0]).all()
        # Which partner explains both the grey and the label?
        fits = []
        for partner in set(range(ROWS)) - {row}:
            share = (grey - 5 * partner) / (5 * row - 5 * partner)
            off = 0.6 / abs(5 * row - 5 * partner)
            expected = share * hard[row] + (1 - share) * hard[partner]
            if -off <= share <= 1 + off and np.abs(expected - target).max() <= off + 1e-6:
                fits.append(partner)
        assert fits or grey == 5 * row, position
        partners.update(fits if len(fits) == 1 else [])
    assert (weights == 1).all()
    assert targets.dtype == np.float32 and images.dtype == np.uint8
    np.testing.assert_allclose(targets.sum(axis=1), 1, atol=1e-6)
    assert targets.min() >= 0


def test_a_partner_is_drawn_from_the_whole_epoch(loader):
    one = loader(CUTMIX, batch_size=2)
    greys = {k * 5: k for k in range(ROWS)}
    order, found = one.order(0), set()
    for step in range(one.steps):
        for offset, image in enumerate(one.batch(0, step)[0]):
            own = order[2 * step + offset]
            found |= {greys[g] for g in np.unique(image).tolist()} - {own}
            assert len(np.unique(image)) <= 2
    assert len(found) > ROWS / 3  # of two a batch there would be one other at most


@pytest.mark.parametrize("augment", ["none", "flip_rotate_zoom"])
def test_the_partner_is_varied_as_it_is_at_its_own_position(loader, augment):
    """With a share of 0 the image is its partner."""
    changes = {"fill_mode": "constant", "fill_value": 0} if augment != "none" else {}
    plain = epoch_of(loader(augment=augment, **changes))
    known = {image.tobytes() for image in plain[0]}
    step = {"kind": "mixup", "alpha": 1e-6, "probability": 1}  # lambda is 0 or 1
    images, targets, _ = epoch_of(loader(step, augment=augment, **changes))
    assert {image.tobytes() for image in images} <= known
    assert set(np.unique(targets)) <= {0.0, 1.0}
    assert (images != plain[0]).any(axis=(1, 2, 3)).mean() > 0.2


@pytest.mark.parametrize("step", [MIXUP, CUTMIX])
def test_a_probability_of_0_changes_nothing(loader, step):
    plain = loader(augment="flip_rotate_zoom", balance="class_weight")
    never = loader({**step, "probability": 0}, augment="flip_rotate_zoom", balance="class_weight")
    images, labels, weights = epoch_of(plain)
    mixed = epoch_of(never)
    assert (mixed[0] == images).all() and (mixed[1] == np.eye(3)[labels]).all()
    np.testing.assert_allclose(mixed[2], weights, rtol=1e-6)
    assert labels.dtype == np.int64 and not plain.soft and never.soft


@pytest.mark.parametrize("step", [Mixup, Cutmix])
def test_a_probability_is_meant_as_written(step):
    drawn = step(kind=step.__name__.lower(), alpha=1, probability=0.3)
    often = sum(drawn.draw(np.random.default_rng(k), 100, 20, 20) is not None for k in range(2000))
    assert often == pytest.approx(600, abs=4 * np.sqrt(2000 * 0.3 * 0.7))


@pytest.mark.parametrize("alpha", [0.2, 1.0, 4.0])
def test_lambda_follows_a_beta_distribution(alpha):
    step = Mixup(kind="mixup", alpha=alpha, probability=1)
    mixes = [step.draw(np.random.default_rng(k), 1000, 20, 20) for k in range(1500)]
    shares = [mix.share for mix in mixes]
    assert stats.kstest(shares, stats.beta(alpha, alpha).cdf).pvalue > 1e-3
    partners = [mix.partner for mix in mixes]
    assert stats.kstest(partners, stats.randint(0, 1000).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(shares, partners)[0, 1]) < 0.1


@pytest.mark.parametrize("size", [(16, 16), (180, 120)])
def test_the_box_of_cutmix_has_the_area_that_the_labels_say(size):
    height, width = size
    step = Cutmix(kind="cutmix", alpha=1.0, probability=1)
    own, other = np.zeros((*size, 3), np.uint8), np.full((*size, 3), 255, np.uint8)
    shares = []
    for seed in range(500):
        mix = step.draw(np.random.default_rng(seed), 10, height, width)
        mixed = mix.apply(own, other)
        assert (mixed == 0).mean() == pytest.approx(mix.share)
        top, left, bottom, right = mix.box
        assert (mixed[top:bottom, left:right] == 255).all()
        if 0 < top < bottom < height and 0 < left < right < width:  # nothing is cut off
            assert (bottom - top) / height == pytest.approx((right - left) / width, abs=1 / width)
        shares.append(mix.share)
    assert not own.any()
    # Boxes are cut off at the rim, so that an image's own share is above the half of lambda.
    assert 0.5 < np.mean(shares) < 0.75


def test_a_box_inside_has_one_minus_lambda_of_the_area():
    step = Cutmix(kind="cutmix", alpha=1.0, probability=1)

    class Fixed:
        """A generator that draws no sooner, a lambda of 0.75, partner 3 and the middle."""

        def random(self):
            return 0.0

        def beta(self, *_):
            return 0.75

        def integers(self, upper):
            return {10: 3, 40: 20, 80: 40}[upper]

    mix = step.draw(Fixed(), 10, 40, 80)
    assert mix.box == (10, 20, 30, 60) and mix.share == 0.75 and mix.partner == 3


def test_class_weights_of_a_soft_target_are_the_mean_by_its_shares(loader, rows, option):
    weight = option("balance", "class_weight").apply(rows, 1).class_weight
    _, targets, weights = epoch_of(loader(MIXUP, balance="class_weight"))
    np.testing.assert_allclose(weights, (targets * weight).sum(axis=1), rtol=1e-5)
    assert len(np.unique(weights)) > 3 and weights.dtype == np.float32


def test_evaluation_is_never_mixed(loader, rows):
    one = loader(MIXUP)
    images, labels, _ = epoch_of(replace(one, seed=None))
    assert (images[:, 0, 0, 0] == np.arange(ROWS) * 5).all() and (labels == rows.label).all()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"alpha": 0}, "greater than 0"),
        ({"probability": 1.1}, "less than or equal to 1"),
        ({"kind": "cutout"}, "cutmix"),
        ({"beta": 1}, "Extra inputs"),
    ],
)
def test_a_wrong_batch_step_is_refused(option, changes, said):
    with pytest.raises(ValidationError, match=said):
        option("augment", "none", batch=[{**MIXUP, **changes}])

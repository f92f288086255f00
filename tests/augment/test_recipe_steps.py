"""What affine, blur, shades of grey, RandAugment and gain promise."""

import itertools
import typing

import numpy as np
import pytest
from augment_steps import GREY
from pictures import drawn, skin
from pydantic import ValidationError

from melanoma_exp.augment import rand_augment, shades_of_grey

AFFINE = {
    "kind": "affine",
    "probability": 1,
    "rotation": (0, 0),
    "scale": (1, 1),
    "aspect": (1, 1),
    "shear": (0, 0),
    "shift": (0, 0),
    "fill_mode": "reflect",
    "fill_value": 0,
    "interpolation": "bilinear",
}
MOVED = {**AFFINE, "rotation": (-180, 180), "scale": (0.8, 1.2), "shear": (-10, 10)}
BLUR = {"kind": "blur", "probability": 1, "sigma": (0.5, 2)}
SHADES = {"kind": "shades_of_grey", "probability": 1, "power": 6}
NAMES = typing.get_args(rand_augment.Operation)
RANDOM = {
    "kind": "rand_augment",
    "probability": 1,
    "count": 2,
    "magnitude": 6,
    "operations": NAMES,
}


@pytest.mark.parametrize("step", [MOVED, BLUR, SHADES, RANDOM], ids=lambda step: step["kind"])
def test_a_step_is_a_function_of_image_and_generator_and_happens_as_often_as_it_says(compose, step):
    image = skin(30, 44)
    image.setflags(write=False)
    first, again = (drawn(compose(step), image, range(12)) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert {(v.shape, v.dtype.name) for v in first} == {(image.shape, "uint8")}
    never = drawn(compose({**step, "probability": 0}), image, range(12))
    assert all(np.array_equal(v, image) for v in never)
    one = {"sigma": (1, 1)} if step is BLUR else {"operations": ["equalize"]}
    one = one if step in (BLUR, RANDOM) else {}
    seldom = drawn(compose({**step, **one, "probability": 0.3}), image, range(400))
    assert sum((v != image).any() for v in seldom) == pytest.approx(120, abs=37)  # four deviations


def test_a_step_draws_as_many_numbers_whatever_comes_out(compose):
    image = skin(20, 24)
    for step, share in itertools.product((MOVED, BLUR, SHADES, RANDOM), (0, 1)):
        random, other = (np.random.default_rng(3) for _ in range(2))
        compose({**step, "probability": share}).draw(image, random)
        compose({**step, "probability": 0.5}).draw(image, other)
        assert random.random() == other.random(), step["kind"]


def peak(image):
    """Row and column of the brightest spot."""
    return np.array(np.unravel_index(image[..., 0].argmax(), image.shape[:2]))


@pytest.mark.parametrize(
    ("change", "expected"),  # of a spot 8 rows above and 4 columns right of the centre
    [
        ({"rotation": (90, 90)}, (-4, -8)),
        ({"scale": (2, 2)}, (-16, 8)),
        ({"scale": (0.5, 0.5)}, (-4, 2)),
        ({"aspect": (4, 4)}, (-4, 8)),
        ({"shear": (45, 45)}, (-8, 12)),
        ({"shift": (0.1, 0.1)}, (-4, 8)),
    ],
)
def test_affine_moves_a_spot_where_it_says(compose, change, expected):
    image = np.zeros((41, 41, 3), np.uint8)
    image[11:14, 23:26] = 120
    image[12, 24] = 255
    (found,) = drawn(compose({**AFFINE, **change}), image)
    assert np.abs(peak(found) - 20 - expected).max() <= 1


def test_affine_without_strength_changes_nothing_and_is_one_map_with_others(compose):
    image = skin(80, 80)
    assert np.array_equal(drawn(compose(AFFINE), image)[0], image)
    small = {**AFFINE, "rotation": (-20, 20), "scale": (0.9, 1.1), "shift": (-0.05, 0.05)}
    for steps in ([small, {"kind": "dihedral"}], [small, {**small, "shear": (-8, 8)}]):
        policy = compose(*steps)
        for seed, found in enumerate(drawn(policy, image, range(8))):
            random, expected = np.random.default_rng(seed), image
            for step in policy.steps:
                expected = step.draw(expected, random)
            apart = np.abs(found.astype(int) - expected)[28:-28, 28:-28]
            assert apart.mean() < 4, seed


def test_blur_spreads_a_square_by_its_sigma(compose):
    image = np.zeros((61, 61, 3), np.uint8)
    image[26:35, 26:35] = 255
    (found,) = drawn(compose({**BLUR, "sigma": (2, 2)}), image)
    variances = []
    for shown in (image, found):
        weights = shown[..., 0] / shown[..., 0].sum()
        variances.append((weights * (np.arange(61) - 30) ** 2).sum())
    assert variances[1] - variances[0] == pytest.approx(2**2, rel=0.05)


def test_shades_of_grey_takes_a_light_out_and_keeps_what_is_neutral(compose):
    image = skin(40, 40) // 2 + 40
    (found,) = drawn(compose(SHADES), image)
    means = ((found / 255) ** 6).mean(axis=(0, 1)) ** (1 / 6)
    assert np.ptp(means) < 0.01 < np.ptp(((image / 255) ** 6).mean(axis=(0, 1)) ** (1 / 6))
    tinted = np.clip(np.rint(image * [0.8, 1.0, 1.1]), 0, 255).astype(np.uint8)
    ours, theirs = (shades_of_grey.corrected(x, 6).astype(float) for x in (image, tinted))
    np.testing.assert_allclose(ours / ours.mean(), theirs / theirs.mean(), atol=0.02)
    grey = np.repeat(image[..., :1], 3, axis=2)
    assert np.array_equal(shades_of_grey.corrected(grey, 6), grey)
    black = image * np.array([1, 0, 1], np.uint8)
    assert np.array_equal(shades_of_grey.corrected(black, 6), black)


@pytest.mark.parametrize("name", NAMES)
def test_each_operation_is_stronger_with_the_magnitude_and_nothing_at_0(name):
    image = skin(48, 48) // 2 + 30
    found = [rand_augment.apply(name, image, s).astype(int) for s in (0, 0.2, 1, -1)]
    assert all(one.shape == image.shape for one in found)
    change = [np.abs(one - image).mean() for one in found]
    if name == "identity":
        assert max(change) == 0
    elif name in ("auto_contrast", "equalize"):
        assert change[0] > 3 and np.array_equal(found[0], found[2])
    else:
        assert change[0] == 0 and change[1] < change[2] and change[3] > 0, change
        signed = name not in ("solarize", "posterize")
        assert signed == (not np.array_equal(found[2], found[3]))


def test_rand_augment_draws_every_operation_alike(compose, monkeypatch):
    chosen = []
    keep = lambda name, image, strength: chosen.append((name, strength)) or image  # noqa: E731
    monkeypatch.setattr(rand_augment, "apply", keep)
    drawn(compose(RANDOM), skin(8, 8), range(700))
    counts = [sum(name == one for name, _ in chosen) for one in NAMES]
    assert sum(counts) == 1400 and min(counts) > 60 and max(counts) < 140
    assert {abs(strength) for _, strength in chosen} == {0.6}
    assert 600 < sum(strength > 0 for _, strength in chosen) < 800


def test_gain_scales_channels_apart_and_without_it_nothing_else_is_drawn(compose):
    image = skin(30, 30) // 2 + 20
    (even,) = drawn(compose({**GREY, "gain": (0.2, 0.2)}), image)
    assert np.abs(even - np.rint(image * 1.2)).max() <= 1
    (apart,) = drawn(compose({**GREY, "gain": (-0.3, 0.3)}), image)
    ratios = (apart / image).mean(axis=(0, 1))
    assert np.ptp(ratios) > 0.05 and (np.abs(ratios - 1) < 0.31).all()
    np.testing.assert_allclose(apart, image * ratios, atol=1.2)
    random, other = (np.random.default_rng(3) for _ in range(2))
    compose({**GREY, "hue": (0, 0.1)}).draw(image, random)
    other.random(4)
    assert random.random() == other.random()  # as recorded runs drew


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({**AFFINE, "scale": (1.2, 0.8)}, "scale: the lower bound comes first"),
        ({**AFFINE, "scale": (0, 1)}, "greater than 0"),
        ({**AFFINE, "shear": (0, 90)}, "less than 90"),
        ({**BLUR, "sigma": (2, 1)}, "sigma: the lower bound comes first"),
        ({**SHADES, "power": 0.5}, "greater than or equal to 1"),
        ({**RANDOM, "operations": ["flip"]}, "identity"),
        ({**RANDOM, "magnitude": 11}, "less than or equal to 10"),
        ({**GREY, "gain": (0.1, -0.1)}, "gain: the lower bound comes first"),
    ],
)
def test_a_wrong_step_is_refused(compose, step, said):
    with pytest.raises(ValidationError, match=said):
        compose(step)


@pytest.mark.parametrize("name", ["recipe", "rand_augment"])
def test_the_options_are_online_policies(option, name):
    policy = option("augment", name)
    variants = drawn(policy, skin(28, 38), range(6))
    assert policy.online and len({v.tobytes() for v in variants}) > 4

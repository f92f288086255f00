"""What composed policies promise: steps in turn, one generator, one resampling."""

import itertools

import numpy as np
import pytest
from pictures import SIZE, drawn, skin
from pydantic import ValidationError

from melanoma_exp.augment import affine, colour
from melanoma_exp.augment.base import Sampling

STILL = {
    "kind": "flip_rotate_zoom",
    "flip": "none",
    "shift_height": (0, 0),
    "shift_width": (0, 0),
    "rotation": (0, 0),
    "zoom_height": (0, 0),
    "zoom_width": None,
    "fill_mode": "reflect",
    "fill_value": 0,
    "interpolation": "bilinear",
}
TURN = {**STILL, "flip": "horizontal_and_vertical", "rotation": (-0.2, 0.2)}
ZOOM = {**STILL, "zoom_height": (-0.2, 0.2), "shift_width": (-0.1, 0.1)}
DIHEDRAL = {"kind": "dihedral"}
FLIP = {"kind": "augmentor", "operations": [{"name": "flip_left_right", "probability": 0.5}]}
GREY = {
    "kind": "colour",
    "brightness": (0, 0),
    "contrast": (0, 0),
    "saturation": (0, 0),
    "hue": (0, 0),
}
COLOUR = {**GREY, "brightness": (-0.2, 0.2), "contrast": (-0.3, 0.3), "saturation": (-0.5, 0.5)}
ERASING = {
    "kind": "erasing",
    "probability": 1,
    "area": (0.02, 0.3),
    "aspect": (0.3, 3.3),
    "fill": "noise",
}


@pytest.fixture
def compose(option):
    """Gives a policy of the listed steps."""
    return lambda *steps: option("augment", "compose", steps=steps)


@pytest.mark.parametrize("name", ["flip_rotate_zoom", "dihedral", "augmentor"])
def test_a_single_step_is_the_plain_policy_bit_for_bit(option, compose, name):
    plain = option("augment", name)
    step = plain.model_dump(exclude={"online", "batch"})
    for image in (skin(), skin(40, 40)):
        found, expected = (drawn(p, image, range(40)) for p in (compose(step), plain))
        assert all(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    "steps", list(itertools.permutations([TURN, COLOUR, ERASING], 3)) + [[FLIP, COLOUR, FLIP]]
)
def test_steps_are_drawn_in_turn_from_one_generator(compose, steps):
    policy, image = compose(*steps), skin()
    for seed, found in enumerate(drawn(policy, image, range(10))):
        random, expected = np.random.default_rng(seed), image
        for step in policy.steps:
            expected = step.draw(expected, random)
        assert np.array_equal(found, expected)


@pytest.mark.parametrize("size", [(40, 40), (41, 41), (40, 56), (57, 40)])
def test_the_map_of_a_dihedral_step_is_what_it_does(compose, size):
    (step,) = compose(DIHEDRAL).steps
    image = skin(*size)
    for seed in range(40):
        matrix = step.draw_matrix(*size, np.random.default_rng(seed))
        expected = step.draw(image, np.random.default_rng(seed))
        moved = affine.warp(image, matrix, Sampling("constant", 0, "nearest"))
        assert np.array_equal(moved, expected), seed


def test_geometric_steps_are_resampled_once(compose, monkeypatch):
    warp, calls = affine.warp, []

    def counted(*given):
        calls.append(given)
        return warp(*given)

    monkeypatch.setattr("melanoma_exp.augment.affine.warp", counted)
    monkeypatch.setattr("melanoma_exp.augment.compose.warp", counted)
    nearest = {**ZOOM, "interpolation": "nearest"}
    for steps, expected in (
        ([TURN, ZOOM, DIHEDRAL], 1),
        ([DIHEDRAL, TURN, DIHEDRAL, ZOOM], 1),
        ([TURN, nearest], 2),
        ([TURN, ZOOM, DIHEDRAL, nearest, nearest], 2),
        ([TURN, COLOUR, ZOOM], 2),
        ([DIHEDRAL, DIHEDRAL], 0),
    ):
        calls.clear()
        drawn(compose(*steps), skin(48, 48))
        assert len(calls) == expected, steps


@pytest.mark.parametrize(
    "steps", [[TURN, ZOOM], [ZOOM, TURN], [DIHEDRAL, TURN], [TURN, DIHEDRAL, ZOOM]]
)
def test_fused_steps_show_what_steps_one_by_one_show(compose, steps):
    policy, image = compose(*steps), skin(80, 80)
    for seed, found in enumerate(drawn(policy, image, range(12))):
        random, expected = np.random.default_rng(seed), image
        for step in policy.steps:
            expected = step.draw(expected, random)
        apart = np.abs(found.astype(int) - expected)[28:-28, 28:-28]  # away from what is filled
        assert apart.mean() < 4, seed
        assert np.abs(found.astype(int) - image)[28:-28, 28:-28].mean() > 4


def test_dihedral_steps_alone_keep_every_pixel(compose):
    image = skin(24, 24)
    for variant in drawn(compose(DIHEDRAL, DIHEDRAL), image, range(20)):
        assert sorted(variant.reshape(-1, 3).tolist()) == sorted(image.reshape(-1, 3).tolist())


def test_colour_means_what_it_means_in_keras(compose):
    from keras import layers

    image = skin()
    for value in (-0.3, 0.1, 0.4):
        layer = layers.RandomBrightness((value, value))
        expected = np.asarray(layer(image[None].astype("float32"), training=True))[0]
        (found,) = drawn(compose({**GREY, "brightness": (value, value)}), image)
        assert np.abs(found - expected).max() <= 1, value
    for value in (-0.4, 0.2, 0.5):
        # Keras draws from [1 - lower, 1 + upper]; its mean is each channel's own.
        mean = image.mean(axis=(0, 1))
        expected = np.clip(mean + (1 + value) * (image - mean), 0, 255)
        (found,) = drawn(compose({**GREY, "contrast": (value, value)}), image)
        assert np.abs(found - expected).max() <= 1, value


def test_saturation_and_hue_leave_luma_and_greys_as_they_are(compose):
    image = skin() // 2 + 60  # far from 0 and 255
    grey = np.repeat(image[..., :1], 3, axis=2)
    luma = image @ colour.LUMA
    for change in ({"saturation": (-0.6, -0.6)}, {"saturation": (0.3, 0.3)}, {"hue": (0.1, 0.1)}):
        policy = compose({**GREY, **change})
        (found,) = drawn(policy, image)
        assert np.abs(found @ colour.LUMA - luma).max() < 1.5, change
        assert np.abs(found.astype(int) - image).mean() > 4, change
        assert np.abs(drawn(policy, grey)[0].astype(int) - grey).max() <= 1, change
    (found,) = drawn(compose({**GREY, "saturation": (-1, -1)}), image)
    assert np.ptp(found.astype(int), axis=2).max() <= 1
    assert np.abs(found[..., 0] - luma).max() <= 1
    (half,), (back,) = (drawn(compose({**GREY, "hue": (h, h)}), image) for h in (0.5, -0.5))
    assert np.abs(half.astype(int) - back).max() <= 1  # half a turn either way


def test_colours_in_one_matrix_are_those_in_turn(compose):
    """Computed in floating point one after the other, cut off at the end."""
    image = skin()
    for b, c, s, h in ((0.1, -0.3, 0.4, 0.05), (-0.2, 0.5, -0.6, -0.1), (0.9, 1, 1, 0.5)):
        step = {"brightness": (b, b), "contrast": (c, c), "saturation": (s, s), "hue": (h, h)}
        x = image + 255 * b
        x = x.mean(axis=(0, 1)) + (1 + c) * (x - x.mean(axis=(0, 1)))
        luma = (x @ colour.LUMA)[..., None]
        x = luma + (1 + s) * (x - luma)
        yiq = x @ colour.YIQ.T
        turned = (yiq[..., 1] + 1j * yiq[..., 2]) * np.exp(2j * np.pi * h)
        yiq = np.stack([yiq[..., 0], turned.real, turned.imag], axis=-1)
        expected = np.clip(yiq @ np.linalg.inv(colour.YIQ).T, 0, 255)
        (found,) = drawn(compose({"kind": "colour", **step}), image)
        assert np.abs(found - expected).max() <= 1.5, (b, c, s, h)


def test_colour_without_strength_changes_nothing_and_draws_within_its_bounds(compose):
    image = skin()
    assert np.array_equal(drawn(compose(GREY), image)[0], image)
    even = np.full((8, 8, 3), 128, np.uint8)
    policy = compose({**GREY, "brightness": (-0.25, 0.1)})
    values = [int(v[0, 0, 0]) for v in drawn(policy, even, range(300))]
    assert 64 <= min(values) < 68 and 150 < max(values) <= 154
    assert np.mean(values) == pytest.approx(128 - 0.075 * 255, abs=5)


def test_erased_boxes_have_the_area_and_aspect_asked_for(compose):
    image = np.full((200, 160, 3), 10, np.uint8)
    areas, aspects, tops = [], [], []
    for variant in drawn(compose({**ERASING, "fill": 250}), image, range(300)):
        rows, columns = (np.flatnonzero((variant != 10).any(axis=(axis, 2))) for axis in (1, 0))
        box = variant[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        assert (box == 250).all() and (variant == 250).sum() == box.size
        areas.append(len(rows) * len(columns) / (200 * 160))
        aspects.append(len(rows) / len(columns))
        tops.append(rows[0] / max(200 - len(rows), 1))
    assert 0.018 < min(areas) < 0.05 and 0.25 < max(areas) < 0.31
    assert 0.28 < min(aspects) < 0.5 and 2 < max(aspects) < 3.5
    assert np.mean(np.log(aspects)) == pytest.approx(0, abs=0.15)
    assert np.mean(tops) == pytest.approx(0.5, abs=0.07)


def test_erasing_fills_as_it_says_and_as_often_as_it_says(compose):
    image = skin()
    noise, mean = (
        drawn(compose({**ERASING, "fill": fill}), image, range(6)) for fill in ("noise", "mean")
    )
    for variant, even in zip(noise, mean, strict=True):
        hidden = (even != image).any(axis=2)
        colours = np.unique(even[hidden], axis=0)
        assert len(colours) == 1
        np.testing.assert_allclose(colours[0], image.mean(axis=(0, 1)), atol=0.51)
        assert np.std(variant[hidden].astype(float)) > 60
        assert np.array_equal(variant[~hidden], image[~hidden])
    policy = compose({**ERASING, "probability": 0.3, "fill": 0})
    often = sum((v != image).any() for v in drawn(policy, image, range(400)))
    assert often == pytest.approx(120, abs=37)  # four standard deviations


def test_a_box_that_never_fits_leaves_the_image_as_it_is(compose):
    image = skin(8, 64)
    policy = compose({**ERASING, "area": (0.9, 0.9), "aspect": (3, 3.3)})
    assert np.array_equal(drawn(policy, image)[0], image)


def test_images_are_never_changed_in_place(option):
    image = skin(*SIZE)
    image.setflags(write=False)
    policy = option("augment", "compose")
    variants = drawn(policy, image, range(8))
    assert {(v.shape, v.dtype.name) for v in variants} == {(image.shape, "uint8")}
    assert len({v.tobytes() for v in variants}) == 8
    again = drawn(policy, image, range(8))
    assert all(np.array_equal(a, b) for a, b in zip(variants, again, strict=True))


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({**COLOUR, "hue": (0.2, 0.1)}, "hue: the lower bound comes first"),
        ({**COLOUR, "contrast": (-2, 0)}, "greater than or equal to -1"),
        ({**ERASING, "area": (0.5, 0.2)}, "area: the lower bound comes first"),
        ({**ERASING, "area": (0, 0.2)}, "greater than 0"),
        ({**ERASING, "fill": "black"}, "noise"),
        ({"kind": "colours"}, "colour"),
        ({"kind": "none"}, "flip_rotate_zoom"),
        ({**DIHEDRAL, "online": True}, "Extra inputs"),
    ],
)
def test_a_wrong_step_is_refused(compose, step, said):
    with pytest.raises(ValidationError, match=said):
        compose(step)


def test_the_examples_of_conf_are_policies(option):
    for name in ("compose", "mixup", "cutmix"):
        assert option("augment", name).online
    assert [s.kind for s in option("augment", "mixup").batch] == ["mixup"]
    steps = option("augment", "compose").steps
    assert [s.kind for s in steps] == ["flip_rotate_zoom", "colour", "erasing"]

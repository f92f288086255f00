"""What colour and erasing promise: Keras' meanings, boxes as asked for."""

import numpy as np
import pytest
from augment_steps import ERASING, GREY
from pictures import drawn, skin

from melanoma_exp.augment import colour


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
        step["gain"] = (-0.2, -0.2)
        x = 0.8 * image + 255 * b
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

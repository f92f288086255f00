"""Augmentor as written: its probabilities, its pixels, each of its operations."""

import random

import numpy as np
import pytest
from pictures import drawn, skin
from PIL import Image
from pydantic import ValidationError

from melanoma_exp.augment import augmentor

ROTATE = {"name": "rotate", "max_left_rotation": 10, "max_right_rotation": 10}
DISTORTION = {"grid_width": 4, "grid_height": 4, "magnitude": 4}
FACTORS = {"min_factor": 0.5, "max_factor": 0.9}
OPERATIONS = {
    **{
        name: {}
        for name in (
            "black_and_white flip_left_right flip_random flip_top_bottom greyscale invert "
            "histogram_equalisation rotate180 rotate270 rotate90 rotate_random_90 "
            "skew skew_corner skew_left_right skew_tilt skew_top_bottom"
        ).split()
    },
    "crop_by_size": {"width": 20, "height": 20},
    "crop_centre": {"percentage_area": 0.5},
    "crop_random": {"percentage_area": 0.5},
    "gaussian_distortion": {**DISTORTION, "corner": "bell", "method": "in"},
    "random_brightness": FACTORS,
    "random_color": FACTORS,
    "random_contrast": FACTORS,
    "random_distortion": DISTORTION,
    "random_erasing": {"rectangle_area": 0.3},
    "resize": {"width": 30, "height": 30, "resample_filter": "ANTIALIAS"},
    "rotate": {"max_left_rotation": 10, "max_right_rotation": 10},
    "rotate_without_crop": {"max_left_rotation": 10, "max_right_rotation": 10},
    "scale": {"scale_factor": 1.5},
    "shear": {"max_shear_left": 10, "max_shear_right": 10},
    "zoom": {"min_factor": 1.1, "max_factor": 1.5},
    "zoom_random": {"percentage_area": 0.8},
}


@pytest.mark.parametrize(
    ("probability", "low", "high"),
    [(1e-9, 0, 0), (1, 400, 400), (0.7, 243, 317)],  # four standard deviations about 280
)
def test_augmentor_applies_an_operation_as_often_as_written(option, probability, low, high):
    image = skin(24, 24)
    operations = [{"name": "flip_left_right", "probability": probability}]
    policy = option("augment", "augmentor", operations=operations)
    changed = sum((v != image).any() for v in drawn(policy, image, range(400)))
    assert low <= changed <= high


def test_augmentor_turns_both_ways_within_its_limits(option):
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 31:33] = 255  # an upright line, which shows the angle
    operations = [{**ROTATE, "probability": 1}]
    policy = option("augment", "augmentor", operations=operations)
    slopes = []
    for variant in drawn(policy, image, range(60)):
        top, bottom = (np.average(np.arange(64), weights=variant[y, :, 0]) for y in (8, 55))
        slopes.append(np.degrees(np.arctan2(top - bottom, 47)))
    assert -11 < min(slopes) < -6 and 6 < max(slopes) < 11


def patterns(height: int, width: int) -> list[np.ndarray]:
    """Images whose rotated values lie on whole numbers, beyond 0 and 255, and anywhere."""
    random = np.random.default_rng([height, width])
    shape = (height, width, 3)
    return [
        skin(height, width),
        random.integers(0, 256, shape, np.uint8),
        random.integers(0, 2, shape, np.uint8) * 255,
        np.broadcast_to(np.uint8([200, 0, 255]), shape).copy(),
        np.broadcast_to(np.arange(width, dtype=np.uint8)[:, None], shape).copy(),
    ]


@pytest.mark.parametrize(
    "size", [(60, 60), (61, 61), (45, 64), (64, 41), (27, 27), (9, 10), (150, 151), (180, 180)]
)
def test_a_drawn_rotation_has_the_pixels_of_augmentor_alone(option, size):
    for largest in (1, 3, 10, 25):
        parameters = {"max_left_rotation": largest, "max_right_rotation": largest}
        operations = [{**ROTATE, **parameters, "probability": 1}]
        policy = option("augment", "augmentor", operations=operations)
        (operation,) = augmentor.pipeline(operations).operations
        for seed, image in enumerate(patterns(*size)):
            (variant,) = drawn(policy, image, [seed])
            random.seed(int(np.random.default_rng(seed).integers(2**32)))
            (expected,) = operation.perform_operation([Image.fromarray(image)])
            assert np.array_equal(np.asarray(expected), variant), (largest, seed)


def test_an_image_of_which_a_rotation_would_keep_nothing_is_refused(option):
    operations = [{**ROTATE, "max_left_rotation": 25, "max_right_rotation": 25, "probability": 1}]
    policy = option("augment", "augmentor", operations=operations)
    with pytest.raises(ValueError, match="'right' is less than 'left'"):
        drawn(policy, np.zeros((200, 2, 3), np.uint8), range(20))


def test_every_operation_of_augmentor_is_known_here():
    assert sorted(OPERATIONS) == augmentor.operation_names()


@pytest.mark.parametrize("name", OPERATIONS)
def test_augmentor_operation_runs_and_repeats(option, name):
    image = skin(40, 56)
    operation = {"name": name, "probability": 1, **OPERATIONS[name]}
    policy = option("augment", "augmentor", operations=[operation])
    first, again = drawn(policy, image, range(6)), drawn(policy, image, range(6))
    assert {(v.shape, v.dtype.name) for v in first} == {(image.shape, "uint8")}
    assert all((a == b).all() for a, b in zip(first, again, strict=True))
    assert any((v != image).any() for v in first)


@pytest.mark.parametrize(
    ("operation", "said"),
    [
        ({"name": "rotat", "probability": 1}, "no operation rotat; did you mean rotate?"),
        ({"name": "qqqq", "probability": 1}, "no operation qqqq; it has black_and_white, "),
        ({"name": "sample", "probability": 1}, "no operation sample"),
        ({**ROTATE, "probability": 0.7, "max_left": 3}, "max_left.*max_left_rotation"),
        ({**ROTATE, "probability": 1.7}, "rotate: .*probability.*between 0 and 1"),
        ({**ROTATE, "probability": "often"}, "rotate: "),
        ({"name": "rotate", "probability": 1}, "rotate: .*missing.*max_left_rotation"),
        ({"probability": 1}, "no operation None"),
    ],
)
def test_a_wrong_operation_is_refused_with_what_would_be_right(option, operation, said):
    with pytest.raises(ValidationError, match=said) as refused:
        option("augment", "augmentor", operations=[operation])
    assert len(refused.value.errors()) == 1

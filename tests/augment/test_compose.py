"""What composed policies promise: steps in turn, one generator, one resampling."""

import itertools

import numpy as np
import pytest
from augment_steps import ERASING, GREY, STILL
from pictures import SIZE, drawn, skin
from pydantic import ValidationError

from melanoma_exp.augment import affine
from melanoma_exp.augment.base import Sampling

TURN = {**STILL, "flip": "horizontal_and_vertical", "rotation": (-0.2, 0.2)}
ZOOM = {**STILL, "zoom_height": (-0.2, 0.2), "shift_width": (-0.1, 0.1)}
DIHEDRAL = {"kind": "dihedral"}
FLIP = {"kind": "augmentor", "operations": [{"name": "flip_left_right", "probability": 0.5}]}
COLOUR = {**GREY, "brightness": (-0.2, 0.2), "contrast": (-0.3, 0.3), "saturation": (-0.5, 0.5)}


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

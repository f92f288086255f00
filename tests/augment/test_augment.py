"""What augmentation promises: Keras' geometry, and randomness from one generator."""

import cv2
import numpy as np
import pytest
from pictures import SIZE, drawn, skin
from pydantic import ValidationError

from melanoma_exp.augment import affine
from melanoma_exp.augment.base import Sampling


def test_every_step_matches_the_keras_layer_up_to_the_border(option):
    from keras import layers

    image = skin()
    still = {
        "flip": "none",
        "shift_height": (0, 0),
        "shift_width": (0, 0),
        "rotation": (0, 0),
        "zoom_height": (0, 0),
        "zoom_width": None,
        "fill_value": 7,
    }
    steps = []
    for turns in (0.1, -0.03, 0.4):
        steps.append((layers.RandomRotation, [(turns, turns)], {"rotation": (turns, turns)}))
    for height, width in ((0.25, 0.25), (0.2, -0.3), (-0.3, 0.6)):
        bounds = {"zoom_height": (height, height), "zoom_width": (width, width)}
        steps.append((layers.RandomZoom, list(bounds.values()), bounds))
    steps.append((layers.RandomZoom, [(-0.3, -0.3)], {"zoom_height": (-0.3, -0.3)}))
    for height, width in ((0.2, 0.1), (0.203, -0.107), (-0.31, 0.5)):
        bounds = {"shift_height": (height, height), "shift_width": (width, width)}
        steps.append((layers.RandomTranslation, list(bounds.values()), bounds))
    for layer, factors, changes in steps:
        for fill_mode in ("reflect", "wrap", "constant", "nearest"):
            policy = option(
                "augment", "flip_rotate_zoom", **{**still, **changes, "fill_mode": fill_mode}
            )
            build = layer(*factors, fill_mode=fill_mode, fill_value=7.0)
            expected = np.asarray(build(image[None].astype("float32"), training=True))[0]
            apart = np.abs(drawn(policy, image)[0] - expected)
            assert apart.max() <= 2 and apart.mean() < 0.7, (changes, fill_mode, apart.max())


def test_four_bytes_a_pixel_give_the_pixels_of_three(option):
    image, draw = skin(), np.random.default_rng(2)
    borders = {
        "reflect": cv2.BORDER_REFLECT,
        "constant": cv2.BORDER_CONSTANT,
        "nearest": cv2.BORDER_REPLICATE,
    }
    for fill_mode, border in borders.items():
        for interpolation, how in (("bilinear", cv2.INTER_LINEAR), ("nearest", cv2.INTER_NEAREST)):
            policy = option(
                "augment",
                "flip_rotate_zoom",
                shift_width=(-0.3, 0.3),
                fill_mode=fill_mode,
                fill_value=77,
                interpolation=interpolation,
            )
            matrix = policy.draw_matrix(*SIZE, draw)
            expected = cv2.warpAffine(
                image,
                matrix[:2],
                SIZE[::-1],
                flags=how | cv2.WARP_INVERSE_MAP,
                borderMode=border,
                borderValue=(77, 77, 77),
            )
            assert (affine.warp(image, matrix, policy.sampling) == expected).all()


@pytest.mark.parametrize(
    ("flip", "results"),
    [
        ("none", ["same"]),
        ("horizontal", ["same", "mirror"]),
        ("vertical", ["same", "upside"]),
        ("horizontal_and_vertical", ["same", "mirror", "upside", "both"]),
    ],
)
def test_flips_are_exact_and_equally_likely(option, flip, results):
    image = skin(16, 24)
    known = {"same": image, "mirror": image[:, ::-1], "upside": image[::-1]}
    known["both"] = image[::-1, ::-1]
    policy = option("augment", "flip_rotate_zoom", flip=flip, rotation=(0, 0), zoom_height=(0, 0))
    seen = [
        name
        for variant in drawn(policy, image, range(200))
        for name, expected in known.items()
        if (variant == expected).all()
    ]
    assert len(seen) == 200 and set(seen) == set(results)
    for name in results:
        assert seen.count(name) / 200 == pytest.approx(1 / len(results), abs=0.12)


def test_steps_fuse_in_the_order_flip_shift_rotate_zoom():
    image, sampling = skin(), Sampling("reflect", 0, "bilinear")
    steps = {"flip": (False, True), "shift": (0.05, -0.1), "turns": 0.06, "zoom": (-0.1, -0.2)}
    one_by_one = image
    for name, value in steps.items():
        matrix = affine.matrix(*SIZE, **{name: value})
        one_by_one = affine.warp(one_by_one, matrix, sampling)
    fused = affine.warp(image, affine.matrix(*SIZE, **steps), sampling)
    apart = np.abs(fused.astype(int) - one_by_one)[20:-20, 20:-20]
    assert apart.mean() < 3  # resampled once here and thrice there
    other = np.abs(fused.astype(int) - one_by_one[:, ::-1])[20:-20, 20:-20]
    assert other.mean() > 10


def test_dihedral_reaches_all_eight_and_nothing_else(option):
    image = skin(24, 24)
    turns = [np.rot90(image, k) for k in range(4)]
    expected = {variant.tobytes() for turn in turns for variant in (turn, turn[:, ::-1])}
    seen = [v.tobytes() for v in drawn(option("augment", "dihedral"), image, range(400))]
    assert len(expected) == 8 and set(seen) == expected
    assert min(map(seen.count, expected)) > 25  # 50 expected of each


def test_dihedral_keeps_the_shape_of_images_that_are_not_square(option):
    image = skin(16, 24)
    flips = {v.tobytes() for v in (image, image[::-1], image[:, ::-1], image[::-1, ::-1])}
    seen = drawn(option("augment", "dihedral"), image, range(60))
    assert {v.shape for v in seen} == {image.shape}
    assert {v.tobytes() for v in seen} == flips


def policies(option):
    rotate = option("augment", "augmentor")  # as published
    return [option("augment", kind) for kind in ("flip_rotate_zoom", "dihedral")] + [rotate]


def test_a_variant_is_a_function_of_image_and_generator_alone(option):
    image = skin(32, 32)
    before = image.copy()
    for policy in policies(option):
        first = drawn(policy, image, range(12))
        np.random.random(3)  # what the process drew meanwhile changes nothing
        again = drawn(policy, image, reversed(range(12)))[::-1]
        assert all((a == b).all() for a, b in zip(first, again, strict=True)), policy.kind
        assert len({variant.tobytes() for variant in first}) > 2, policy.kind
        assert {(v.shape, v.dtype.name) for v in first} == {((32, 32, 3), "uint8")}
    assert (image == before).all()


def test_policies_accept_images_that_cannot_be_written_to(option):
    image = skin(32, 32)
    image.setflags(write=False)
    for policy in [*policies(option), option("augment", "none")]:
        assert drawn(policy, image)[0].shape == image.shape


def test_online_and_children_policies_say_which_they_are(option):
    assert option("augment", "flip_rotate_zoom").online
    assert option("augment", "dihedral").online
    assert not option("augment", "augmentor").online
    with pytest.raises(ValidationError, match="lower bound comes first"):
        option("augment", "flip_rotate_zoom", rotation=(0.4, -0.4))
    with pytest.raises(ValidationError, match="above -1"):
        option("augment", "flip_rotate_zoom", zoom_height=(-1, 0))

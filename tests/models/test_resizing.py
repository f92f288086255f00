"""Images resized in a network are those that the decoder would have made."""

import numpy as np
import pytest
from PIL import Image

from melanoma_exp.models import resizing

SIZES = [((30, 40), (17, 31)), ((30, 40), (64, 64)), ((30, 40), (30, 21)), ((9, 200), (8, 50))]


@pytest.mark.parametrize(("size", "wanted"), SIZES)
def test_pixels_are_those_of_pillow(size: tuple[int, int], wanted: tuple[int, int]) -> None:
    images = np.random.default_rng(1).integers(256, size=(3, *size, 3)).astype(np.uint8)
    pillow = [
        np.asarray(Image.fromarray(image).resize(wanted[::-1], Image.Resampling.BILINEAR))
        for image in images
    ]
    ours = np.asarray(resizing.resized(images, *wanted))
    apart = np.abs(ours.astype(int) - np.stack(pillow).astype(int))
    assert ours.dtype == np.uint8 and ours.shape == (3, *wanted, 3)
    assert apart.max() <= 1 and (apart > 0).mean() < 0.25


@pytest.mark.parametrize(("length", "wanted"), [(200, 152), (31, 30), (7, 20), (1000, 8)])
def test_weights_sum_to_one_and_grey_stays_grey(length: int, wanted: int) -> None:
    table = resizing.weights(length, wanted)
    assert table.shape == (wanted, length)
    assert (table >= 0).all() and (table.sum(axis=1) == resizing.STEPS).all()
    grey = np.full((1, length, length, 3), 137, np.uint8)
    assert (np.asarray(resizing.resized(grey, wanted, wanted)) == 137).all()

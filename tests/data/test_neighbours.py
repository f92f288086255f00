"""Near-duplicates: every copy that only looks different is found, and nothing else."""

import numpy as np
import pytest
from pictures import picture, position, recompressed
from PIL import Image

from melanoma_exp.data.duplicates import near_duplicates

ALTERED = {
    "recompressed": lambda image: recompressed(image, 40),
    "resized": lambda image: image.resize((40, 40), Image.Resampling.BICUBIC),
    "squeezed": lambda image: image.resize((150, 60), Image.Resampling.BILINEAR),
    "brightened": lambda image: image.point(lambda value: min(255, int(value * 1.15))),
}


def thumbnails(images: list[Image.Image]) -> np.ndarray:
    side = near_duplicates.SIDE
    return np.stack([np.asarray(i.resize((side, side), Image.Resampling.BOX)) for i in images])


@pytest.mark.parametrize("altered", ALTERED)
@pytest.mark.parametrize("turn", range(8))
def test_a_copy_is_found_in_every_position_and_its_turn_is_named(altered: str, turn: int) -> None:
    originals = [picture(seed) for seed in range(6)]
    copies = [position(ALTERED[altered](image), turn) for image in originals]
    found = near_duplicates.find(thumbnails(originals + copies))
    assert list(zip(found.first, found.second, strict=True)) == [(k, k + 6) for k in range(6)]
    for k, back in enumerate(found.turn):
        again = np.asarray(position(copies[k], int(back)).resize((32, 32), Image.Resampling.BOX))
        assert np.abs(again.astype(int) - thumbnails(originals)[k]).mean() < 30


def test_real_images_are_found_again(real_folder) -> None:
    paths = sorted(real_folder("ham10000").rglob("*.jpg"))[::40]
    images = [Image.open(path).convert("RGB") for path in paths]
    halves = [image.resize((image.width // 2, image.height // 2)) for image in images]
    copies = [position(recompressed(image, 50), k % 8) for k, image in enumerate(halves)]
    found = near_duplicates.find(thumbnails(images + copies))
    pairs = set(zip(found.first.tolist(), found.second.tolist(), strict=True))
    assert len(images) > 100
    assert {(k, k + len(images)) for k in range(len(images))} <= pairs


def test_different_images_are_no_pair_however_many() -> None:
    assert not len(near_duplicates.find(thumbnails([picture(seed, 48) for seed in range(300)])))


def test_even_areas_are_near_to_nothing() -> None:
    even = [Image.new("RGB", (32, 32), (shade, 9, 9)) for shade in (0, 1, 90, 200)]
    assert not len(near_duplicates.find(thumbnails(even)))


def test_dark_round_spots_of_different_texture_are_no_pair() -> None:
    y, x = np.mgrid[-1:1:96j, -1:1:96j]

    def lesion(seed: int) -> Image.Image:
        random = np.random.default_rng(seed)
        (up, right), size = random.normal(0, 0.05, 2), random.uniform(0.09, 0.15)
        spot = np.exp(-((((x - right) ** 2 + (y - up) ** 2) / size) ** 2))[..., None]
        texture = random.normal(0, 14, (96, 96, 3))
        return Image.fromarray(np.clip(200 - 150 * spot + texture, 0, 255).astype(np.uint8))

    assert not len(near_duplicates.find(thumbnails([lesion(seed) for seed in range(40)])))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    images = [picture(seed) for seed in range(20)]
    many = thumbnails(images + [position(recompressed(i, 60), k % 8) for k, i in enumerate(images)])
    whole = near_duplicates.find(many)
    monkeypatch.setattr(near_duplicates, "BLOCK", 7)
    parts = near_duplicates.find(many)
    assert len(whole) == 20
    for name in ("first", "second", "turn"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    np.testing.assert_allclose(whole.distance, parts.distance, atol=1e-5)


@pytest.mark.parametrize("turn", range(8))
def test_a_turned_image_has_the_hash_computed_for_its_position(turn: int) -> None:
    grey = thumbnails([picture(seed) for seed in range(10)]) @ near_duplicates.LUMA
    moved = np.stack([near_duplicates.turned(image, turn) for image in grey])
    bits = np.bitwise_count(near_duplicates._hashes(moved)[0] ^ near_duplicates._hashes(grey)[turn])
    assert bits.max() <= 1  # a coefficient of about 0 may have either sign

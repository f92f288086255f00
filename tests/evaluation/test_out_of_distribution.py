"""Images that are no lesions are flagged as out-of-distribution."""

import json
from pathlib import Path

import numpy as np
import pytest

from melanoma_exp.data.decode import decode
from melanoma_exp.evaluation import out_of_distribution, out_of_distribution_fit
from melanoma_exp.evaluation.out_of_distribution import OutOfDistribution
from melanoma_exp.spec import UserError

SIDE = 64


def lesions(count: int, seed: int) -> np.ndarray:
    """Dark blobs of varied colour and size on skin of varied colour."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    images = []
    for _ in range(count):
        skin, spot = random.normal((200, 150, 130), 15), random.normal((100, 60, 50), 15)
        share = 1 / (1 + np.exp(8 * (np.hypot(x, y) / random.uniform(0.3, 0.7) - 1)))
        noise = random.normal(0, 6, (SIDE, SIDE, 1))
        images.append(skin + (spot - skin) * share[..., None] + noise)
    return np.clip(images, 0, 255).astype(np.uint8)


def mistakes(like: np.ndarray) -> dict[str, np.ndarray]:
    """What a user may drop in by mistake, 20 of each kind."""
    random = np.random.default_rng(0)
    n, shape = 20, like.shape[1:]
    ramp = np.linspace(0, 1, shape[1])[None, None, :, None] * np.ones((n, *shape))
    text = np.full((n, *shape), 255)
    for page in text:
        for row in range(2, shape[0] - 3, 6):
            page[row : row + 3] = np.where(random.random((shape[1], 1)) < 0.5, 0, 255)
    return {
        "noise": random.integers(0, 256, (n, *shape)),
        "plain grey": np.ones((n, *shape)) * random.integers(0, 256, (n, 1, 1, 1)),
        "gradient": ramp * random.integers(60, 256, (n, 1, 1, 3)),
        "text": text,
        "inverted": 255 - like[:n].astype(int),
    }


def share(fitted: OutOfDistribution, images: np.ndarray) -> float:
    return float(np.mean([bool(note) for note in fitted.notes(images.astype(np.uint8))]))


@pytest.fixture(scope="module")
def fitted() -> OutOfDistribution:
    found = out_of_distribution_fit.fit(lesions(300, 1), lesions(200, 2))
    assert found is not None
    return found


def test_in_distribution_images_pass_and_others_are_flagged(fitted: OutOfDistribution) -> None:
    assert share(fitted, lesions(200, 2)) == pytest.approx(out_of_distribution.FLAGGED, abs=0.006)
    assert share(fitted, lesions(300, 3)) < 0.06
    for name, images in mistakes(lesions(20, 4)).items():
        assert share(fitted, images) == 1, name


def test_a_note_names_what_is_unusual(fitted: OutOfDistribution) -> None:
    dark = (lesions(1, 5) * 0.2).astype(np.uint8)
    (note,) = fitted.notes(dark)
    assert note.startswith("unlike the training images (") and "brightness -" in note


def test_the_distance_is_mahalanobis(fitted: OutOfDistribution) -> None:
    images = lesions(3, 6)
    away = (out_of_distribution.statistics(images) - fitted.mean) / fitted.deviation
    by_hand = [row @ np.array(fitted.precision) @ row for row in away]
    np.testing.assert_allclose(fitted.distance(images), by_hand)


def test_few_images_set_no_limit() -> None:
    assert (
        out_of_distribution_fit.fit(lesions(60, 1), lesions(out_of_distribution.SMALLEST - 1, 2))
        is None
    )
    assert (
        out_of_distribution_fit.fit(lesions(out_of_distribution.SMALLEST - 1, 1), lesions(60, 2))
        is None
    )


def test_it_survives_the_file_and_damage_is_one_line(fitted: OutOfDistribution) -> None:
    content = json.loads(json.dumps(fitted.to_dict()))
    assert OutOfDistribution.from_dict(content) == fitted
    for damage in ({"limit": "high"}, {"mean": [0.0]}, {"names": ["colour"]}):
        with pytest.raises(UserError, match=r"^decision.json: out_of_distribution") as refused:
            OutOfDistribution.from_dict({**content, **damage})
        assert len(refused.value.lines) == 1


def test_real_lesions_pass_and_other_images_are_flagged(real_folder) -> None:
    def read(paths: list[Path]) -> np.ndarray:
        return np.stack([decode(p, (SIDE, SIDE), "bilinear", 10**8) for p in paths])

    isic9 = sorted(real_folder("isic9").glob("Train/*/*.jpg"))
    found = out_of_distribution_fit.fit(read(isic9[::5]), read(isic9[2::10]))
    assert found is not None
    real = read(isic9[3::10])
    assert share(found, real) < 0.05
    assert share(found, read(sorted(real_folder("ham10000").glob("images/*.jpg"))[::40])) < 0.05
    for name, images in mistakes(real).items():
        assert share(found, images) > 0.9, name

"""A prediction from several views is the mean of their probabilities, in every format."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.models.inference import Inference
from melanoma_exp.prediction.export import FORMATS

SHAPES = {"none": 1, "flips": 4, "dihedral": 8}


def network(height: int, width: int, gain: float = 1.0) -> Any:
    """Returns a network whose prediction depends on the place of every pixel."""
    import keras
    from keras import layers

    images = keras.Input((height, width, 3), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    first = np.random.default_rng(0).normal(size=(height * width * 3, 3)).astype(np.float32)
    head = layers.Dense(3, dtype="float32")
    built = keras.Model(images, head(x))
    head.set_weights([gain * first, np.zeros(3, np.float32)])
    return built


def pixels(height: int, width: int, count: int = 4) -> Any:
    random = np.random.default_rng(1)
    return random.integers(0, 256, (count, height, width, 3)).astype(np.uint8)


def turned(images: Any, views: str) -> list[Any]:
    """Returns the views of images, as NumPy turns them."""
    height, width = images.shape[1:3]
    if views == "none":
        return [images]
    turns = range(4) if views == "dihedral" and height == width else (0, 2)
    rotated = [np.rot90(images, k, (1, 2)) for k in turns]
    return [np.ascontiguousarray(v) for one in rotated for v in (one, one[:, :, ::-1])]


@pytest.mark.parametrize("views", SHAPES)
@pytest.mark.parametrize(("height", "width"), [(8, 8), (6, 10)])
def test_the_prediction_is_the_mean_probability_of_the_views(
    views: Any, height: int, width: int
) -> None:
    plain, images = network(height, width), pixels(height, width)
    inference = Inference(views=views, scales=(1.0,), prior_correction="none")
    found = softmax(inference.wrap(plain).predict_on_batch(images))
    each = [softmax(plain.predict_on_batch(view)) for view in turned(images, views)]
    assert len(each) == inference.count(height, width)
    np.testing.assert_allclose(found, np.mean(each, axis=0), atol=1e-6)
    assert len(each) == 1 or np.abs(found - each[0]).max() > 0.01


def test_a_scale_enlarges_the_centre_and_is_averaged_with_the_whole() -> None:
    plain = network(8, 8)
    images = pixels(8, 8)
    images[:, 1:7, 1:7] = 77  # at twice the size nothing but this is seen
    centre = (
        Inference(views="none", scales=(2.0,), prior_correction="none")
        .wrap(plain)
        .predict_on_batch(images)
    )
    grey = softmax(plain.predict_on_batch(np.full_like(images, 77)))
    np.testing.assert_allclose(softmax(centre), grey, atol=1e-6)
    both = (
        Inference(views="none", scales=(1.0, 2.0), prior_correction="none")
        .wrap(plain)
        .predict_on_batch(images)
    )
    whole = softmax(plain.predict_on_batch(images))
    np.testing.assert_allclose(softmax(both), (whole + grey) / 2, atol=1e-6)


def test_one_view_of_the_whole_image_is_the_network_itself() -> None:
    plain = network(8, 8)
    inference = Inference(views="none", scales=(1.0,), prior_correction="none")
    assert inference.wrap(plain) is plain and not inference.describe(8, 8)


def test_logits_stay_finite_where_views_are_certain_of_different_classes() -> None:
    plain, images = network(8, 8, gain=1e4), pixels(8, 8)
    found = (
        Inference(views="dihedral", scales=(1.0,), prior_correction="none")
        .wrap(plain)
        .predict_on_batch(images)
    )
    assert found.dtype == np.float32 and np.isfinite(found).all()
    assert found.min() < -100  # as a plain softmax in float32 would be 0, and its logarithm not


@pytest.mark.parametrize(
    ("views", "scales", "size"),
    [
        ("dihedral", (1.0, 1.25), (16, 16)),
        pytest.param("flips", (1.0,), (14, 20), marks=pytest.mark.slow),
        pytest.param("flips", (1.0, 1.25, 1.6), (14, 20), marks=pytest.mark.slow),
        pytest.param("dihedral", (1.0, 1.1), (28, 38), marks=pytest.mark.slow),
        pytest.param("none", (1.3,), (33, 47), marks=pytest.mark.slow),
    ],
)
def test_every_format_holds_the_views(
    views: Any, scales: Any, size: tuple[int, int], tmp_path: Path
) -> None:
    for package in ("onnxruntime", "tf2onnx"):
        if find_spec(package) is None:
            pytest.skip(f"needs the extra `export` ({package} is not installed)")
    wrapped = Inference(views=views, scales=scales, prior_correction="none").wrap(
        network(*size, gain=0.1)
    )
    images = pixels(*size)
    wanted = softmax(wrapped.predict_on_batch(images))
    for name, one in FORMATS.items():
        path = tmp_path / f"{name}{one.suffix}"
        one.write(wrapped, path)
        found = softmax(one.read(path)(images))
        assert np.abs(found - wanted).max() <= one.tolerance, name

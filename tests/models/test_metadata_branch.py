"""Metadata join any network: it starts as it was, and each part of it can be told apart."""

from typing import Any

import keras
import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.models import metadata_branch
from melanoma_exp.models.inference import Inference
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training.transfer.extraction import FrozenNetwork
from melanoma_exp.training.transfer.phases import stages_of

RESNET = ["model=resnet", "model.widths=[4,8]", "model.blocks=[1,1]", "model.strides=[1,2]"]
NETWORKS = {
    "cnn": ["model=m3", "model.filters=[[4],[8]]", "model.dense=[8]"],
    "one unit": ["model=m1", "model.filters=[[4]]", "model.head_units=1"],
    "resnet": RESNET,
    "backbone": ["model=backbone", "model.weights=null", "model.architecture=efficientnet_lite0"],
}
SIZE, UNITS = 7, 5


SLOW = pytest.param("backbone", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["cnn", "one unit", "resnet", SLOW])
def made(request: pytest.FixtureRequest) -> tuple[Any, keras.Model, keras.Model]:
    """A spec, its network, and that with metadata, which share their layers."""
    spec = config.parse(compose.compose(conf_folder(), NETWORKS[request.param])).model
    network = spec.build((32, 32, 3), 2)
    return spec, network, metadata_branch.join(network, spec, SIZE, UNITS)


def pictures(n: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(n)
    images = random.integers(0, 256, (n, 32, 32, 3)).astype(np.uint8)
    return images, random.normal(size=(n, SIZE)).astype(np.float32)


def trained(model: keras.Model) -> keras.Model:
    """Gives the linear layer weights, as training does."""
    layer, random = model.get_layer(metadata_branch.SHIFT), np.random.default_rng(0)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return model


def test_it_starts_as_the_network_without_metadata_and_then_depends_on_them(made: Any) -> None:
    _, network, joined = made
    images, metadata = pictures(4)
    joined.get_layer(metadata_branch.SHIFT).set_weights(
        [np.zeros(w.shape) for w in joined.get_layer(metadata_branch.SHIFT).get_weights()]
    )
    alone = np.asarray(network(images))
    np.testing.assert_array_equal(np.asarray(joined((images, metadata))), alone)
    trained(joined)
    found = np.asarray(joined((images, metadata)))
    assert (np.abs(found - alone).max(axis=1) > 1e-3).all()
    moved = np.asarray(joined((images, metadata[::-1])))
    assert not np.allclose(found, moved)


def test_head_and_frozen_part_are_the_network(made: Any) -> None:
    spec, _, joined = made
    images, metadata = pictures(64)
    frozen = FrozenNetwork(trained(joined), spec)
    found = np.asarray(frozen.head((frozen.embed()(images), metadata)))
    np.testing.assert_allclose(found, np.asarray(joined((images, metadata))), atol=1e-5)
    assert frozen.extractor.input_shape == (None, 32, 32, 3)
    mine = {id(weight) for weight in joined.weights}
    assert {id(weight) for weight in frozen.head.weights} <= mine


def test_the_branch_is_fine_tuned_with_the_head(made: Any) -> None:
    spec, network, joined = made
    before, after = stages_of(network, spec), stages_of(joined, spec)
    assert after[:-1] == before[:-1]
    assert after[-1] == [*before[-1], *metadata_branch.WEIGHTED]


def test_all_views_of_an_image_see_its_metadata(made: Any) -> None:
    _, _, joined = made
    images, metadata = pictures(3)
    flips = Inference(views="flips", scales=(1.0,), prior_correction="none")
    found = np.asarray(flips.wrap(trained(joined))((images, metadata)))
    views = [images, images[:, ::-1], images[:, :, ::-1], images[:, ::-1, ::-1]]
    each = [keras.ops.softmax(joined((view.copy(), metadata))) for view in views]
    np.testing.assert_allclose(np.exp(found), np.mean(each, axis=0), atol=1e-5)


def test_grad_cam_explains_the_same_layer_with_the_metadata_held_fixed(made: Any) -> None:
    from melanoma_exp.evaluation import gradcam

    spec, network, joined = made
    images, metadata = pictures(3)
    layer = spec.gradcam_layer(joined)
    assert layer == spec.gradcam_layer(network)
    found = gradcam.evidence(trained(joined), layer, images, 1, metadata)
    assert found.shape[0] == 3 and np.isfinite(found).all() and np.abs(found).max() > 0


def test_a_network_without_an_embedding_is_refused_in_one_line() -> None:
    spec = config.parse(compose.compose(conf_folder(), NETWORKS["cnn"])).model

    class Odd(type(spec)):  # type: ignore[misc]
        def embedding_layer(self, model: keras.Model) -> str:
            return "block1_pool"

    odd = Odd.model_validate(spec.model_dump())
    with pytest.raises(UserError, match=r"^dataset.inputs: the embedding .* expected a vector"):
        metadata_branch.join(odd.build((32, 32, 3), 2), odd, SIZE, UNITS)

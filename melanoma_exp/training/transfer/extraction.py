"""Splits a network into what stays frozen and the head, and computes the features in between."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from melanoma_exp.augment import Policy
from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.data.features import BATCH, Features, Progress
from melanoma_exp.models import metadata_branch
from melanoma_exp.models.base import Model
from melanoma_exp.spec import UserError, digest
from melanoma_exp.system.cache.entry import About, hold, obtain
from melanoma_exp.system.extensions.record import used_by
from melanoma_exp.training import keras_internals
from melanoma_exp.training.transfer import spec as options

ARRAY = "features.npy"
VERSION = 1  # raise it when the same network and image would get other features


class FrozenNetwork:
    """A network whose layers up to the embedding are frozen and in inference mode.

    Attributes:
        extractor: uint8 images (b, h, w, 3) to embeddings (b, d).
        head: Embeddings, and metadata where the network takes them, to logits; its layers are those
            of the network.
        size: d.
        digest: Identifies graph and weights of what is frozen; the head has no part in it.
    """

    def __init__(self, network: keras.Model, spec: Model) -> None:
        """Splits a network behind the layer that its spec names.

        Args:
            network: What the spec has built, with the weights it starts from.
            spec: Of the network.

        Raises:
            UserError: The layer gives no vectors.
        """
        joined = metadata_branch.is_joined(network)
        if joined:
            embedding = metadata_branch.embedding_of(network)
        else:
            embedding = keras_internals.output_in(network, spec.embedding_layer(network))
        if len(embedding.shape) != 2:
            raise UserError(
                f"train.features: the embedding of model {spec.name} has the shape "
                f"{tuple(embedding.shape[1:])}, expected a vector"
            )
        self.extractor = keras.Model(network.inputs[0], embedding, name="extractor")
        if joined:
            self.head = metadata_branch.head_of(network)
        else:
            self.head = keras.Model(embedding, network.outputs[0], name=f"{network.name}_head")
        self.size, self.digest = int(embedding.shape[1]), _digest(self.extractor, spec)

    def embed(self) -> Callable[[np.ndarray], np.ndarray]:
        """Returns the function from images, uint8 (BATCH, h, w, 3), to float32 (BATCH, d)."""
        images = tf.TensorSpec((BATCH, *self.extractor.input_shape[1:]), tf.uint8)

        @tf.function(input_signature=[images], autograph=False)
        def inference(images: Any) -> Any:
            return tf.cast(self.extractor(images, training=False), tf.float32)

        return lambda batch: inference(batch).numpy()


def obtain_features(
    features: Features,
    network: FrozenNetwork,
    spec: options.Features,
    data: LoadedDataset,
    policy: Policy,
    precision: str,
    cache: Path,
    progress: Progress,
) -> None:
    """Computes all features or finds them in the cache, and opens them.

    Args:
        features: What is opened.
        network: Computes them.
        spec: The option.
        data: The dataset; all of its images are computed, whatever the split.
        policy: Draws the views.
        precision: In which the network computes.
        cache: The folder of cached arrays.
        progress: Told how many images are done.

    Raises:
        UserError: The cache cannot be written.
    """
    drawn = spec.views > 1
    drawing = [spec.seed, policy.model_dump(mode="json", exclude={"batch"})] if drawn else []
    code = [extension.sha256 for extension in used_by(policy, ())] if drawn else []
    shape = list(data.pixels.shape)
    key = digest(
        [VERSION, data.digest, shape, network.digest, spec.views, precision, *drawing, *code]
    )
    images = len(features.originals)
    about = About(f"{shape[1]}x{shape[2]}, {network.head.name[:-5]}, {spec.views} views", images)

    def make(folder: Path) -> None:
        embed = network.embed()
        features.compute(folder / ARRAY, data.pixels, policy, spec.seed, embed, progress)

    entry = obtain(cache, "features", key, about, make)
    array = np.load(entry.folder / ARRAY, mmap_mode="r")
    features.open(hold(array, entry))


def _digest(extractor: keras.Model, spec: Model) -> str:
    try:
        graph = extractor.to_json()
    except (NotImplementedError, TypeError, ValueError):  # a layer of a user's own
        graph = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    found = hashlib.sha256(graph.encode())
    for weight in extractor.get_weights():
        found.update(weight.tobytes())
    return digest([found.hexdigest(), *(extension.sha256 for extension in used_by(spec, ()))])

"""Grad-CAM, and the sanity check that its maps depend on the trained weights."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.system.randomness import Purpose, generator

if TYPE_CHECKING:
    import keras

BATCH = 32  # images at a time, so that activations stay small


def grad_cam(
    model: "keras.Model",
    layer: str,
    images: NDArray[np.uint8],
    class_index: NDArray[np.integer] | int,
    metadata: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Returns the positive evidence for a class, scaled to 1.

    Args:
        model: As of `evidence`.
        layer: As of `evidence`.
        images: uint8 (n, h, w, 3).
        class_index: As of `evidence`.
        metadata: As of `evidence`.

    Returns:
        float32 (n, h, w), each map 0 to 1, its largest value 1; all 0 without positive
        evidence.
    """
    height, width = images.shape[1:3]
    return positive_part(evidence(model, layer, images, class_index, metadata), height, width)


def positive_part(sums: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Returns the positive evidence at the size of the images, scaled to a largest value of 1.

    Args:
        sums: float32 (n, fh, fw), of `evidence`.
        height: Of the images.
        width: Of the images.
    """
    import tensorflow as tf

    grown = tf.image.resize(np.maximum(sums, 0)[..., None], (height, width))[..., 0]
    top = tf.reduce_max(grown, axis=(1, 2), keepdims=True)
    maps: NDArray[np.float32] = tf.math.divide_no_nan(grown, top).numpy()
    return maps


def evidence(
    model: "keras.Model",
    layer: str,
    images: NDArray[np.uint8],
    class_index: NDArray[np.integer] | int,
    metadata: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Returns the evidence for (positive) and against (negative) a class at each position.

    Selvaraju et al., Grad-CAM, ICCV 2017: the feature maps of a layer, weighted by the mean
    gradient of the class's logit, summed. With two classes only the difference of the logits
    means anything, so its gradient is taken; a head of one unit, whose first logit is always 0, is
    explained likewise.

    Args:
        model: Functional, uint8 images to logits (n, c). Left as it was.
        layer: Name of a layer with output (n, fh, fw, channels), of `Model.gradcam_layer`.
        images: uint8 (n, h, w, 3).
        class_index: int (n,), or one for all: the class to explain, 0 to c - 1.
        metadata: float32 (n, size), of a network that takes them; they are held fixed.

    Returns:
        float32 (n, fh, fw), of any size and sign, a value a position of the layer's output.
    """
    import keras
    import tensorflow as tf

    from melanoma_exp.training.keras_internals import output_in

    seen = model.inputs[0] if metadata is None else tuple(model.inputs)
    inner = keras.Model(seen, [output_in(model, layer), model.outputs[0]])
    target = np.broadcast_to(np.asarray(class_index, np.int64), len(images))
    maps = []
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        index, batch = target[rows], tf.convert_to_tensor(images[rows])
        inputs = batch if metadata is None else (batch, tf.convert_to_tensor(metadata[rows]))
        with tf.GradientTape() as tape:
            features, logits = inner(inputs, training=False)
            tape.watch(features)
            chosen = tf.one_hot(index, logits.shape[-1], dtype=logits.dtype)
            against = 1 - chosen if logits.shape[-1] == 2 else tf.zeros_like(chosen)
            score = tf.reduce_sum(logits * (chosen - against))
        slope = tf.cast(tape.gradient(score, features), tf.float32)
        weight = tf.reduce_mean(slope, axis=(1, 2), keepdims=True)
        summed = tf.reduce_sum(weight * tf.cast(features, tf.float32), axis=-1)
        maps.append(summed.numpy())
    return np.concatenate(maps) if maps else np.zeros((0, 1, 1), np.float32)


def randomised(model: "keras.Model", seed: int) -> "keras.Model":
    """Returns a copy with random weights.

    Its kernels are drawn from a normal distribution around 0, as wide as the trained ones are
    large, so that activations keep their size; biases and the parameters of normalisation,
    one a channel, are shuffled.

    Args:
        model: Left as it was.
        seed: 0 or more.
    """
    import keras

    def drawn(weight: NDArray, number: int) -> NDArray:
        random = generator(seed, Purpose.EXPLANATION, number)
        if weight.ndim < 2:
            return random.permutation(weight)
        size = np.sqrt(np.mean(weight.astype(np.float32) ** 2))
        return random.standard_normal(weight.shape, np.float32) * size

    copy = keras.models.clone_model(model)
    copy.set_weights([drawn(weight, k) for k, weight in enumerate(model.get_weights())])
    return copy


def rank_correlation(maps: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns Spearman's correlation of each map with its other, NaN where one is constant.

    Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018: where it is far from 0 between a
    trained model and one with random weights, the maps show the image, not what was learnt.

    Args:
        maps: float32 (n, h, w).
        others: float32 (n, h, w).
    """
    from scipy.stats import spearmanr

    def one(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
        if np.ptp(a) == 0 or np.ptp(b) == 0:
            return float("nan")
        return float(spearmanr(a.ravel(), b.ravel()).statistic)

    return np.array([one(a, b) for a, b in zip(maps, others, strict=True)])

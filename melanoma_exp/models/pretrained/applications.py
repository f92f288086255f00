"""The networks of keras.applications: their names, their input scaling, their weights."""

import functools
import inspect
import os
import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

_B = tuple(f"EfficientNetB{n}" for n in range(8))
_V2B = tuple(f"EfficientNetV2B{n}" for n in range(4))
_CONVNEXT = tuple(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge"))
# How each scales pixels in [0, 255]; `own` does so with a layer of its own.
SCALING = {
    **dict.fromkeys(("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), "caffe"),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    **dict.fromkeys((*_B, *_V2B, *_CONVNEXT), "torch"),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge"), "tf"),
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), "tf"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "tf"),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), "own"),
    **dict.fromkeys(("EfficientNetV2S", "EfficientNetV2M", "EfficientNetV2L"), "own"),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of pixels in [0, 1]
BGR_MEAN = (103.939, 116.779, 123.68)  # ImageNet's, of pixels in [0, 255]


def scaled(images: Any, scaling: str) -> Any:
    """Scales images as a network's authors did; in float32 whatever the precision.

    Args:
        images: Symbolic, uint8 (b, h, w, 3), RGB.
        scaling: `tf` is [-1, 1], `torch` is ImageNet's mean and deviation of each channel, `caffe`
            is BGR less ImageNet's mean, `own` is [0, 255].
    """
    import keras
    from keras import layers

    scales: dict[str, tuple[Any, Any]] = {
        "tf": (1 / 127.5, -1.0),
        "torch": ([1 / 255 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]),
        "caffe": (1.0, [-mean for mean in BGR_MEAN]),
        "own": (1.0, 0.0),
    }
    scale, offset = scales[scaling]
    x = keras.ops.flip(images, axis=-1) if scaling == "caffe" else images
    return layers.Rescaling(scale, offset, dtype="float32", name="scale_pixels")(x)


def feature_maps(architecture: str, images: Any) -> Any:
    """Applies a network without its top.

    Args:
        architecture: A key of `SCALING`.
        images: Symbolic, uint8 (b, h, w, 3).

    Returns:
        Symbolic feature maps, float (b, height, width, channels).

    Raises:
        UserError: The images are too small for it.
    """
    x = scaled(images, SCALING[architecture])
    if architecture in _B:
        # Its normalisation reads its statistics when a file is loaded, not when weights are set.
        network = _network(architecture, tuple(images.shape[1:]))
        return rebuilt(network, network.get_layer("stem_conv_pad").input, x)
    network = _network(architecture, tuple(images.shape[1:]), input_tensor=x)
    return rebuilt(network, x, x) if architecture in _CONVNEXT else network.output


def load(architecture: str, weights: Path | str, model: "keras.Model") -> None:
    """Gives a model the weights of a network without its top.

    Args:
        architecture: A key of `SCALING`.
        weights: A file of Keras, or `imagenet`, which Keras downloads unless it has it.
        model: From images to the network's last feature maps, as `feature_maps` made it.

    Raises:
        UserError: The file holds something else, or the download fails.
    """
    shape = tuple(model.input_shape[1:])
    if weights == "imagenet":
        network = _downloaded(architecture, shape)
    else:
        network = _network(architecture, shape)
        read(network, Path(weights), f"{architecture} without its top (include_top=False)")
    _check_scaling(network, weights)
    copy_weights(network, model)


def copy_weights(network: "keras.Model", model: "keras.Model") -> None:
    """Gives a model the weights of the network whose layers it has, `rebuilt` or as they were."""
    ours, theirs = (weighted(net) for net in (model, network))
    for mine, source in zip(ours, theirs, strict=True):
        kernels = source.get_weights()
        if type(mine) is not type(source):  # a grouped convolution, see `rebuilt`
            kernels[0] = np.swapaxes(kernels[0], 2, 3)
        mine.set_weights(kernels)


def weighted(network: "keras.Model") -> list["keras.layers.Layer"]:
    """Returns the layers with weights, from input to output, without statistics of pixels."""
    return [one for one in network.layers if one.weights and type(one).__name__ != "Normalization"]


def read(network: "keras.Model", path: Path, what: str, key: str = "model.weights") -> None:
    """Reads all weights of a network from a file.

    Args:
        network: Its weights are replaced.
        path: As Keras saved it.
        what: The network's name in the message.
        key: Of the configuration, which names the file.

    Raises:
        UserError: The file holds something else, or not all.
    """
    for layer in weighted(network):  # what Keras does not find in a file it leaves as it was
        layer.set_weights([np.full_like(array, np.nan) for array in layer.get_weights()])
    try:
        with warnings.catch_warnings(action="ignore"):
            network.load_weights(path)
        reason = ""
    except (OSError, KeyError, ValueError) as error:
        reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
    lost = [x.name for x in weighted(network) if not np.isfinite(np.concatenate(_flat(x))).all()]
    if reason or lost:
        found = reason[:200]
        if lost:
            found = f"it has no numbers for the layer {lost[0]} and {len(lost) - 1} more"
        raise UserError(f"{key}: {path} does not hold the weights of {what}: {found}")


def _flat(layer: "keras.layers.Layer") -> list[np.ndarray]:
    return [np.ravel(array) for array in layer.get_weights()]


def _check_scaling(network: "keras.Model", weights: Path | str) -> None:
    """Refuses statistics of pixels among the weights that are not ImageNet's, as `scaled` uses."""
    for layer in network.layers:
        if type(layer).__name__ == "Normalization" and layer.weights:
            mean, variance, *_ = (np.ravel(array) for array in layer.get_weights())
            # Published files hold the deviations in the place of the variances.
            if not np.allclose([mean, variance], [MEAN, STD], atol=1e-3):
                raise UserError(
                    f"model.weights: {weights} was trained on pixels of mean {mean.tolist()} and "
                    f"variance {variance.tolist()}; expected ImageNet's {MEAN} and {STD}"
                )


def _network(architecture: str, shape: tuple[int, ...], **options: Any) -> "keras.Model":
    """Returns the network of random weights, without its top."""
    import keras

    create = getattr(keras.applications, architecture)
    if architecture in (*_V2B, *_CONVNEXT):
        options["include_preprocessing"] = False
    try:
        return create(include_top=False, weights=None, input_shape=shape, **options)
    except ValueError as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UserError(f"model.architecture={architecture}: {reason[:200]}") from error


def rebuilt(network: "keras.Model", start: Any, x: Any) -> Any:
    """Applies the layers of a network behind one of its tensors to another tensor.

    Convolutions with a group for each channel become depthwise ones: the same function, which also
    exports to ONNX.

    Args:
        network: Its layers are copied, not their weights.
        start: A tensor within it.
        x: Symbolic, of the same shape.

    Returns:
        What becomes of the network's output.
    """
    import keras
    from keras import layers

    known = {id(start): x}
    for operation in network.operations:
        given = operation.input
        tensors = given if isinstance(given, list) else [given]
        if not tensors or not all(id(tensor) in known for tensor in tensors):
            continue  # the images, and what is before the start
        config, kind = operation.get_config(), type(operation)
        if kind is layers.Conv2D and operation.groups == operation.filters > 1:
            kind = layers.DepthwiseConv2D
            names = ("name", "dtype", "kernel_size", "strides", "padding", "use_bias")
            config = {name: config[name] for name in names}
        copy, new = _made(kind, config), [known[id(tensor)] for tensor in tensors]
        # A layer that merges takes a list; an operation such as + takes one tensor after the other.
        merges = isinstance(given, list) and isinstance(operation, layers.Layer)
        made = keras.tree.flatten(copy(new) if merges else copy(*new))
        given = keras.tree.flatten(operation.output)
        known.update((id(old), tensor) for old, tensor in zip(given, made, strict=True))
    output = network.output
    # Networks of several outputs name them, the last feature maps last.
    return known[id(list(output.values())[-1] if isinstance(output, dict) else output)]


def _made(kind: Any, config: dict[str, Any]) -> Any:
    """Returns a layer of this configuration, which can be copied again."""
    try:
        return kind.from_config(config)
    except TypeError:
        # Layers of KerasHub name what they derive, such as a count of patches, and refuse it. What
        # copies or saves the network later shall not meet that again.
        own = {"name", "trainable", "dtype", *inspect.signature(kind.__init__).parameters}
        accepted = {key: value for key, value in config.items() if key in own}
        layer = kind.from_config(accepted)
        layer.get_config = functools.partial(dict, accepted)
        return layer


def _downloaded(architecture: str, shape: tuple[int, ...]) -> "keras.Model":
    import keras

    try:
        with warnings.catch_warnings(action="ignore"):  # of images of another size than theirs
            return getattr(keras.applications, architecture)(
                include_top=False, weights="imagenet", input_shape=shape
            )
    except Exception as error:  # whatever the network raises
        said = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        url = re.search(r"https?://\S+/([^/\s:]+)", said)
        if not url and not isinstance(error, OSError | ValueError):
            raise
        cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
        advice = (
            f"fetch {url[0].rstrip(':')} on another machine and put it into {cache}, or name it: "
            "model.weights=FILE"
            if url
            else f"save them on another machine with keras.applications.{architecture}"
            "(include_top=False).save_weights('FILE.weights.h5') and use model.weights=FILE"
        )
        what = url[1] if url else f"the weights of {architecture} ({said[:200]})"
        raise UserError(f"model.weights=imagenet: cannot download {what}; {advice}") from error

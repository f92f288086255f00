"""The networks of keras.applications: their names, their input scaling, their weights."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    import keras

# How each scales pixels in [0, 255]; `own` does so with layers of its own.
SCALING = {
    **dict.fromkeys(("VGG16", "VGG19", "ResNet50", "ResNet101", "ResNet152"), "caffe"),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), "torch"),
    **dict.fromkeys((f"EfficientNetB{n}" for n in range(8)), "torch_255"),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "NASNetMobile", "NASNetLarge"), "tf"),
    **dict.fromkeys(("InceptionV3", "InceptionResNetV2", "Xception"), "tf"),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), "tf"),
    **dict.fromkeys(("MobileNetV3Small", "MobileNetV3Large"), "own"),
    **dict.fromkeys((f"EfficientNetV2{size}" for size in "B0 B1 B2 B3 S M L".split()), "own"),
    **dict.fromkeys((f"ConvNeXt{size}" for size in "Tiny Small Base Large XLarge".split()), "own"),
}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of pixels in [0, 1]
BGR_MEAN = (103.939, 116.779, 123.68)  # ImageNet's, of pixels in [0, 255]


def scaled(images: Any, scaling: str) -> Any:
    """Scales images as a network's authors did; in float32 whatever the precision.

    Args:
        images: Symbolic, uint8 (b, h, w, 3), RGB.
        scaling: `tf` is [-1, 1], `torch` is ImageNet's mean and deviation of each channel, `caffe`
            is BGR less ImageNet's mean, `own` is [0, 255], `torch_255` is 255 times `torch`.
    """
    import keras
    from keras import layers

    scales: dict[str, tuple[Any, Any]] = {
        "tf": (1 / 127.5, -1.0),
        "torch": ([1 / 255 / s for s in STD], [-m / s for m, s in zip(MEAN, STD, strict=True)]),
        "torch_255": ([1 / s for s in STD], [-255 * m / s for m, s in zip(MEAN, STD, strict=True)]),
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
    # EfficientNetB0 to B7 divide by 255, and normalise by statistics among their weights, which
    # setting weights would not bring into effect: they stay at 0 and 1, ours do it before.
    return _network(architecture, input_tensor=scaled(images, SCALING[architecture])).output


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
        network = _network(architecture, input_shape=shape)
        try:
            network.load_weights(weights)
        except (OSError, KeyError, ValueError) as error:
            reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
            raise UserError(
                f"model.weights: {weights} does not hold the weights of {architecture} without "
                f"its top (include_top=False): {reason[:200]}"
            ) from error
    ours, theirs = (weighted(net) for net in (model, network))
    for mine, source in zip(ours, theirs, strict=True):
        mine.set_weights(source.get_weights())


def weighted(network: "keras.Model") -> list["keras.layers.Layer"]:
    """Returns the layers with weights, from input to output, without statistics of pixels."""
    return [one for one in network.layers if one.weights and type(one).__name__ != "Normalization"]


def _network(architecture: str, **options: Any) -> "keras.Model":
    """Returns the network of random weights, without its top."""
    import keras

    create = getattr(keras.applications, architecture)
    try:
        return create(include_top=False, weights=None, **options)
    except ValueError as error:
        reason = re.sub(r"\s+", " ", str(error))
        raise UserError(f"model.architecture={architecture}: {reason[:200]}") from error


def _downloaded(architecture: str, shape: tuple[int, ...]) -> "keras.Model":
    import keras

    try:
        return getattr(keras.applications, architecture)(
            include_top=False, weights="imagenet", input_shape=shape
        )
    except Exception as error:  # whatever the network raises
        said = re.sub(r"\s+", " ", str(error))
        url = re.search(r"https?://\S+/([^/\s:]+)", said)
        if not url:
            raise
        cache = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"
        raise UserError(
            f"model.weights=imagenet: cannot download {url[1]}; fetch {url[0].rstrip(':')} on "
            f"another machine and put it into {cache}, or name it: model.weights=FILE"
        ) from error

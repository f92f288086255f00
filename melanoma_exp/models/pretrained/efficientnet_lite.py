"""EfficientNet-Lite0, and its published weights from a NumPy archive.

A MobileNetV2 with EfficientNet's widths and depths, without squeeze-excitation and with ReLU6, made
for devices without a GPU (Tan and Le, 2019, https://arxiv.org/abs/1905.11946, and the note on its
Lite variants of 2020).
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.spec import UserError
from melanoma_exp.system.files import open_file

if TYPE_CHECKING:
    import keras

# For each stage: blocks, side of the depthwise kernel, stride of the first block, expansion, width.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM, HEAD = 32, 1280
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, of pixels in [0, 1]


def feature_maps(pixels: Any, drop_path: float) -> Any:
    """Applies the network without its classifier; layers are named after the archive's arrays.

    Args:
        pixels: Symbolic, float (b, h, w, 3), normalised by `MEAN` and `STD`.
        drop_path: The rate with which the last block is skipped in training; it grows linearly from
            0 at the first (stochastic depth, Huang et al., 2016, https://arxiv.org/abs/1603.09382).

    Returns:
        Symbolic feature maps, float (b, h / 32, w / 32, 1280), rounded up.
    """
    from keras import layers

    x = _relu6(_conv(pixels, STEM, 3, 2, "conv_stem", "bn0"), "stem_relu")
    index, count = 0, sum(repeats for repeats, *_ in STAGES)
    for repeats, kernel, stride, expansion, width in STAGES:
        for repeat in range(repeats):
            name, y = f"blocks_{index}", x
            if expansion > 1:
                wide = x.shape[-1] * expansion
                y = _conv(y, wide, 1, 1, f"{name}_expand_conv", f"{name}_bn0")
                y = _relu6(y, f"{name}_expand_relu")
            strides = stride if repeat == 0 else 1
            y = layers.DepthwiseConv2D(
                kernel, strides, "same", use_bias=False, name=f"{name}_depthwise_conv"
            )(y)
            y = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn1")(y)
            y = _relu6(y, f"{name}_depthwise_relu")
            y = _conv(y, width, 1, 1, f"{name}_project_conv", f"{name}_bn2")
            if strides == 1 and x.shape[-1] == width:
                if rate := drop_path * index / (count - 1):
                    # The batch size is not known yet: None.
                    shape: Any = (None, 1, 1, 1)
                    y = layers.Dropout(rate, noise_shape=shape, name=f"{name}_drop_path")(y)
                y = layers.Add(name=f"{name}_add")([y, x])
            x, index = y, index + 1
    return _relu6(_conv(x, HEAD, 1, 1, "conv_head", "bn1"), "head_relu")


def read(path: Path, model: "keras.Model") -> dict[str, list[np.ndarray]]:
    """Reads published weights, PyTorch's arrays under PyTorch's names, of a model's layers.

    The classifier (`_fc`) is left in the file.

    Args:
        path: Of an .npz archive.
        model: Has the layers of `feature_maps`.

    Returns:
        For each layer its weights in Keras' order and layout.

    Raises:
        UserError: It is no such archive, or lacks an array, or has one of another shape.
    """
    try:
        with open_file(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive.items())
    except (OSError, ValueError, EOFError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"model.weights: {path} is no archive of NumPy arrays: {reason}") from error
    found = {}
    for layer in model.layers:
        if (names := _names(layer.name)) and layer.weights:
            found[layer.name] = [_laid_out(arrays, name, layer, path) for name in names]
    used = {name for layer in found for name in _names(layer)}
    if extra := sorted(name for name in arrays.keys() - used if not name.startswith("_fc.")):
        raise UserError(
            f"model.weights: {path} is not of efficientnet_lite0: it has {extra[0]}"
            f"{f' and {len(extra) - 1} more arrays' if extra[1:] else ''} that the network lacks"
        )
    return found


def _names(layer: str) -> list[str]:
    """Returns the arrays of a layer: `blocks_3_bn1` has `_blocks.3._bn1.weight` and three more."""
    found = re.fullmatch(r"(?:blocks_(\d+)_)?((?:conv_\w+|\w+_conv)|bn\d)", layer)
    if not found:
        return []
    block, part = found.groups()
    stem = f"_blocks.{block}._{part}" if block else f"_{part}"
    parts = ("weight", "bias", "running_mean", "running_var") if "bn" in part else ("weight",)
    return [f"{stem}.{one}" for one in parts]


def _laid_out(
    arrays: dict[str, np.ndarray], name: str, layer: "keras.layers.Layer", path: Path
) -> np.ndarray:
    """Returns an array as Keras lays it out; a kernel is (out, in, height, width) in PyTorch."""
    if name not in arrays:
        raise UserError(f"model.weights: {path} is not of efficientnet_lite0: it lacks {name}")
    array = arrays[name]
    if array.ndim == 4:
        depthwise = name.endswith("_depthwise_conv.weight")
        array = array.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0))
    own = {"bias": 1, "running_mean": 2, "running_var": 3}.get(name.rpartition(".")[2], 0)
    expected = tuple(layer.weights[own].shape)
    if array.shape != expected:
        raise UserError(
            f"model.weights: {path} is not of efficientnet_lite0: {name} has the shape "
            f"{arrays[name].shape}, which does not become {expected}"
        )
    if not np.isfinite(array).all():
        raise UserError(f"model.weights: {path} holds what is not a number, in {name}")
    return array


def _conv(x: Any, filters: int, kernel: int, strides: int, name: str, norm: str) -> Any:
    from keras import layers

    x = layers.Conv2D(filters, kernel, strides, "same", use_bias=False, name=name)(x)
    return layers.BatchNormalization(epsilon=1e-3, name=norm)(x)


def _relu6(x: Any, name: str) -> Any:
    from keras import layers

    return layers.ReLU(max_value=6.0, name=name)(x)

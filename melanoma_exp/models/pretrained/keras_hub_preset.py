"""What the folder of a KerasHub preset says about its network, read without KerasHub.

A preset is what KerasHub's `save_to_preset` leaves: `config.json` with the class and sizes of the
network, `image_converter.json` with the scaling of its pixels, `model.weights.h5`.
"""

import json
import math
import re
from pathlib import Path
from typing import Any

from pydantic import Field

from melanoma_exp.spec import Spec, UserError
from melanoma_exp.system import files

CONFIG, SCALING, WEIGHTS = "config.json", "image_converter.json", "model.weights.h5"
# Of a preset's configuration: what a run decides itself.
OURS = frozenset(("name", "trainable", "dtype", "data_format", "image_shape", "input_shape"))
MOST_BYTES = 2**20  # of a JSON file of a preset


class Preset(Spec):
    """What a preset says about its network.

    Attributes:
        network: A class of `keras_hub.models`.
        config: Its arguments, without those that a run decides.
        scale: What pixels in [0, 255] are multiplied by: one number, or one a channel.
        offset: What is added then.
    """

    network: str = Field(pattern=r"^\w+Backbone$")
    config: dict[str, Any]
    scale: float | tuple[float, float, float]
    offset: float | tuple[float, float, float]


def read(folder: Path) -> Preset:
    """Reads what a preset says about its network; imports neither Keras nor KerasHub.

    Args:
        folder: As KerasHub's `save_to_preset` leaves it.

    Raises:
        UserError: It is no preset of an image network.
    """
    config, scaling = (_read(folder / name) for name in (CONFIG, SCALING))
    network, arguments = config.get("class_name"), config.get("config")
    if not isinstance(network, str) or not re.fullmatch(r"\w+Backbone", network):
        raise UserError(f"model.preset: {folder / CONFIG} names no network of KerasHub")
    if not isinstance(arguments, dict) or not arguments.keys() & {"image_shape", "input_shape"}:
        raise UserError(f"model.preset: {network} in {folder / CONFIG} is no network of images")
    kept = {name: value for name, value in arguments.items() if name not in OURS}
    nested = [name for name, value in kept.items() if isinstance(value, dict)]
    if nested:
        raise UserError(
            f"model.preset: {network} in {folder / CONFIG} has a network within it "
            f"({nested[0]}); name the preset of that one"
        )
    scale, offset = _scaling(scaling.get("config"), folder / SCALING)
    return Preset(network=network, config=kept, scale=scale, offset=offset)


def _scaling(config: Any, path: Path) -> tuple[Any, Any]:
    """Returns factor and summand of pixels, as KerasHub's ImageConverter computes them."""
    try:
        scale, offset = config.get("scale"), config.get("offset")
        if "mean" in config and "variance" in config:  # as older presets are saved
            deviations = [math.sqrt(variance) for variance in config["variance"]]
            scale = [scale / deviation for deviation in deviations]
            offset = [-m / d for m, d in zip(config["mean"], deviations, strict=True)]
        return _checked(1.0 if scale is None else scale), _checked(
            0.0 if offset is None else offset
        )
    except (AttributeError, TypeError, ValueError, ZeroDivisionError) as error:
        raise UserError(f"model.preset: {path} does not say how pixels are scaled") from error


def _checked(value: Any) -> Any:
    """Returns one finite number, or three."""
    if not isinstance(value, list):
        return _finite(value)
    red, green, blue = value
    return _finite(red), _finite(green), _finite(blue)


def _finite(number: Any) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return float(number)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(files.read(path, MOST_BYTES))
        if isinstance(content, dict):
            return content
        reason = "it is no object"
    except FileNotFoundError:
        reason = "there is no such file; a preset is what save_to_preset of KerasHub leaves"
        if path.name == SCALING:
            reason = (
                "there is no such file, and how pixels are scaled stands in it; save the preset "
                "with its preprocessor (keras_hub.models.ImageClassifier.save_to_preset)"
            )
    except (OSError, ValueError, RecursionError) as error:
        reason = str(error).splitlines()[0]
    raise UserError(f"model.preset: {path}: {reason}")


def weights(folder: Path) -> Path:
    """Returns the file of the network's weights.

    Raises:
        UserError: There is none.
    """
    path = folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"model.preset: there is no file {path} with the preset's weights")
    return path

"""Augmentor's operations without its pipeline.

Its own `sample` cannot be reproduced (threads, global generators, random file names) and applies an
operation with p + 0.05. Here its `Pipeline` only builds the operations; each probability is decided
by the image's own generator, which also seeds the global generators that operations draw from.
"""

import inspect
import random as global_random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import PIL.Image

# Some operations of Augmentor 0.2.12 still name the filter Pillow 10 removed.
if not hasattr(PIL.Image, "ANTIALIAS"):
    PIL.Image.ANTIALIAS = PIL.Image.LANCZOS  # type: ignore[attr-defined]

import Augmentor  # noqa: E402
from Augmentor.Operations import Operation, RotateRange  # noqa: E402

from melanoma_exp.augment import turn  # noqa: E402
from melanoma_exp.system.arrays import Images  # noqa: E402


def operation_names() -> list[str]:
    """Returns the names of Augmentor's operations, sorted."""
    methods = inspect.getmembers(Augmentor.Pipeline, inspect.isfunction)
    # The pipeline's other methods read, write or count files; they take no probability.
    return [name for name, m in methods if "probability" in inspect.signature(m).parameters]


def pipeline(operations: Sequence[Mapping[str, Any]]) -> Augmentor.Pipeline:
    """Builds the operations, letting Augmentor check their parameters.

    Args:
        operations: Each with `name`, `probability` and the operation's own parameters.

    Raises:
        ValueError: A parameter is missing, unknown or out of Augmentor's range.
    """
    built = Augmentor.Pipeline()
    for entry in operations:
        name, parameters = entry["name"], {k: v for k, v in entry.items() if k != "name"}
        try:
            getattr(built, name)(**parameters)
        except (TypeError, ValueError) as error:
            reason = str(error).replace("Pipeline.", "")
            takes = inspect.signature(getattr(Augmentor.Pipeline, name))
            raise ValueError(f"{name}: {reason}; it takes {takes}".replace("self, ", "")) from error
    return built


def perform(
    built: Augmentor.Pipeline, image: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Applies the operations to one image.

    Args:
        built: From `pipeline`.
        image: uint8 (height, width, 3).
        random: Decides probabilities and seeds what the operations draw.

    Returns:
        uint8 of the same shape.
    """
    return _applied(_chosen(built, random), image)


def perform_many(
    built: Augmentor.Pipeline,
    images: Images,
    rows: np.ndarray,
    randoms: Iterable[np.random.Generator],
) -> Iterator[tuple[int, np.ndarray]]:
    """Applies the operations to many images, with the pixels of `perform`.

    Where a rotation is all that is drawn for an image, it is done together with its like.

    Args:
        built: From `pipeline`.
        images: Gives the pixels of `rows`.
        rows: int64 (n,), may repeat.
        randoms: n of them.

    Yields:
        The place in `rows`, 0 <= place < n, in any order, and uint8 (height, width, 3).

    Raises:
        ValueError: The images are too small to be rotated.
    """
    from melanoma_exp.augment import bicubic  # heavier than what checks a config

    size = (images.shape[2], images.shape[1])
    alike: dict[turn.Turn, list[int]] = defaultdict(list)
    for place, random in enumerate(randoms):
        chosen = _chosen(built, random)
        rotates = [type(operation) for operation in chosen] == [RotateRange]
        planned = turn.plan(chosen[0], size) if rotates else None
        if planned is not None:
            alike[planned].append(place)
        else:
            (image,) = images.take(rows[place : place + 1])
            yield place, _applied([] if rotates else chosen, image)
    for planned, places in alike.items():
        for start in range(0, len(places), bicubic.TOGETHER):
            some = places[start : start + bicubic.TOGETHER]
            parts = bicubic.rotate(list(images.take(rows[some])), planned)
            for place, part in zip(some, parts, strict=True):
                enlarged = PIL.Image.fromarray(part).resize(size, turn.BICUBIC)
                yield place, np.asarray(enlarged)


def _chosen(built: Augmentor.Pipeline, random: np.random.Generator) -> list[Operation]:
    """Returns the operations to apply to an image; they draw from what this seeds."""
    seed = int(random.integers(2**32))
    global_random.seed(seed)
    np.random.seed(seed)
    return [operation for operation in built.operations if random.random() < operation.probability]


def _applied(operations: Sequence[Operation], image: np.ndarray) -> np.ndarray:
    if not operations:
        return image
    height, width = image.shape[:2]
    variant = PIL.Image.fromarray(image)
    for operation in operations:
        (variant,) = operation.perform_operation([variant])
    if variant.size != (width, height):
        variant = variant.resize((width, height), turn.BICUBIC)
    return np.asarray(variant.convert("RGB"))

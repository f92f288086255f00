"""Augmentor's operations without its pipeline.

Its own `sample` cannot be reproduced (threads, global generators, random file names) and applies an
operation with p + 0.05. Here its `Pipeline` only builds the operations; each probability is decided
by the image's own generator, which also seeds the global generators that operations draw from.
"""

import inspect
import random as global_random
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.augment.base import Policy, Step
from melanoma_exp.spec import did_you_mean


class AugmentorStep(Step):
    """A list of operations of the Augmentor library, each with its `name` and parameters.

    A `probability` is meant as written (the library's disk pipeline adds .05 to it).
    """

    kind: Literal["augmentor"]
    operations: tuple[dict[str, Any], ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _operations_exist(self) -> Self:
        known = operation_names()
        for entry in self.operations:
            name = str(entry.get("name"))
            if name not in known:
                guess = did_you_mean(name, known, f"; it has {', '.join(known)}")
                raise ValueError(f"Augmentor has no operation {name}{guess}")
        pipeline(self.operations)
        return self

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image.

        Not for threads: Augmentor's operations draw from process-wide generators, which are seeded
        from `random` here.
        """
        import PIL.Image

        seed = int(random.integers(2**32))
        global_random.seed(seed)
        np.random.seed(seed)
        built = pipeline(self.operations).operations
        chosen = [operation for operation in built if random.random() < operation.probability]
        if not chosen:
            return image
        height, width = image.shape[:2]
        variant = PIL.Image.fromarray(image)
        for operation in chosen:
            (variant,) = operation.perform_operation([variant])
        if variant.size != (width, height):
            variant = variant.resize((width, height), PIL.Image.Resampling.BICUBIC)
        return np.asarray(variant.convert("RGB"))


class Augmentor(AugmentorStep, Policy):
    """A list of operations of the Augmentor library, as a policy."""


def operation_names() -> list[str]:
    """Returns the names of Augmentor's operations, sorted."""
    methods = inspect.getmembers(_library().Pipeline, inspect.isfunction)
    # The pipeline's other methods read, write or count files; they take no probability.
    return [name for name, m in methods if "probability" in inspect.signature(m).parameters]


def pipeline(operations: Sequence[Mapping[str, Any]]) -> Any:
    """Builds the operations, letting Augmentor check their parameters.

    Args:
        operations: Each with `name`, `probability` and the operation's own parameters.

    Returns:
        An `Augmentor.Pipeline`.

    Raises:
        ValueError: A parameter is missing, unknown or out of Augmentor's range.
    """
    library = _library()
    built = library.Pipeline()
    for entry in operations:
        name, parameters = entry["name"], {k: v for k, v in entry.items() if k != "name"}
        try:
            getattr(built, name)(**parameters)
        except (TypeError, ValueError) as error:
            reason = str(error).replace("Pipeline.", "")
            takes = inspect.signature(getattr(library.Pipeline, name))
            raise ValueError(f"{name}: {reason}; it takes {takes}".replace("self, ", "")) from error
    return built


def _library() -> Any:
    import Augmentor
    import PIL.Image

    # Some operations of Augmentor 0.2.12 still name the filter Pillow 10 removed.
    if not hasattr(PIL.Image, "ANTIALIAS"):
        PIL.Image.ANTIALIAS = PIL.Image.LANCZOS  # type: ignore[attr-defined]
    return Augmentor

"""The leaky order of the published systems."""

from typing import ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.data.splits.base import Split, official_parts


class Published(Split):
    """The order everybody published: balance first, then cut the shuffled list of all files.

    Reproduces Keras' `validation_split` over class folders: paths sorted by class and name,
    shuffled with `seed`, the last share validates. Groups are cut and children of one image land on
    both sides; the run measures that and is tagged leaky.
    """

    balances_first: ClassVar[bool] = True
    kind: Literal["published"]
    val: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)

    @model_validator(mode="after")
    def _keeps_all(self) -> Self:
        if self.train_per_class is not None:
            raise ValueError("train_per_class: the published order balances before there is a part")
        return self

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples, children included, into train, val and test."""
        pool, test = official_parts(samples)
        order = np.arange(len(pool))
        np.random.RandomState(self.seed).shuffle(order)
        cut = len(order) - int(self.val * len(order))
        return Parts(pool.take(order[:cut]), pool.take(order[cut:]), test)

"""Synthetic children, as many for every class."""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data.balance.base import Resample, children
from melanoma_exp.data.samples import Samples


class AddPerClass(Resample):
    """Adds `count` synthetic children to every class, sources drawn with replacement.

    This is what the published M3 does with Augmentor's `sample(500)`: it raises rare classes most
    but does not make them equal.
    """

    kind: Literal["add_per_class"]
    count: int = Field(ge=1)

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns all rows and the children."""
        wanted = np.where(samples.counts() > 0, self.count, 0)
        return samples.join(children(samples, wanted, draw))

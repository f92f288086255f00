"""Synthetic children up to a number of images."""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data.balance.base import Resample, children
from melanoma_exp.data.samples import Samples


class Equalize(Resample):
    """Adds synthetic children until every class has `to` images (null: as many as the largest)."""

    kind: Literal["equalize"]
    to: int | None = Field(ge=1)

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns all rows and the children."""
        counts = samples.counts()
        wanted = np.maximum((self.to or counts.max()) - counts, 0) * (counts > 0)
        return samples.join(children(samples, wanted, draw))

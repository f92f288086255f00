"""Fewer images of common classes."""

from typing import Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data.balance.base import Resample
from melanoma_exp.data.samples import Samples


class Undersample(Resample):
    """Keeps a random `to` images of every larger class (null: as many as the smallest has)."""

    kind: Literal["undersample"]
    to: int | None = Field(ge=1)

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns the rows that stay, in their order."""
        counts = samples.counts()
        limit = self.to or counts[counts > 0].min()
        keep = np.zeros(len(samples), bool)
        for label in np.flatnonzero(counts):
            keep[draw.permutation(np.flatnonzero(samples.label == label))[:limit]] = True
        return samples.take(keep)

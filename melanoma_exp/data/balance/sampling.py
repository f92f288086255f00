"""Rows drawn anew every epoch, rare classes more often."""

from typing import Literal

from pydantic import Field

from melanoma_exp.data.balance.base import Balance, class_weights
from melanoma_exp.data.samples import Plan, Samples


class Sampling(Balance):
    """Draws the rows of every epoch with replacement, by weight = (share of the class) ** -power.

    A row of a rare class is thus seen several times per epoch and no child is made. With a power of
    0 classes keep their shares, with 1 all are seen alike, with 0.5 shares follow the square root:
    Mahajan et al., Exploring the Limits of Weakly Supervised Pretraining, ECCV 2018.

    Attributes:
        images: Draws per epoch; null draws as many as there are rows.
        from_epoch: The epoch, from 1, before which rows are taken in turn and none is preferred:
            deferred re-sampling, Cao et al., NeurIPS 2019.
    """

    kind: Literal["sampling"]
    power: float = Field(ge=0, le=1)
    images: int | None = Field(ge=1)
    from_epoch: int = Field(ge=1)

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch; `seed` is not needed: the loader draws, anew every epoch."""
        counts = samples.counts()
        weights = (counts[samples.label] / max(len(samples), 1)) ** -self.power
        alike = class_weights(counts, "none", 0)
        return Plan(samples, alike, weights, self.images or len(samples), self.from_epoch)

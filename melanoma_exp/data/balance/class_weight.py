"""Weights in the loss."""

from typing import Literal

from pydantic import Field

from melanoma_exp.data.balance.base import Balance, class_weights
from melanoma_exp.data.samples import Plan, Samples


class ClassWeight(Balance):
    """Every image once; the loss of rare classes weighs more.

    Attributes:
        from_epoch: The epoch, from 1, before which all classes weigh alike: deferred re-weighting,
            Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss,
            NeurIPS 2019.
    """

    kind: Literal["class_weight"]
    scheme: Literal["balanced", "sqrt", "effective_number"]
    beta: float = Field(gt=0, lt=1)
    from_epoch: int = Field(ge=1)

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch; `seed` is not needed."""
        weights = class_weights(samples.counts(), self.scheme, self.beta)
        return Plan(samples, weights, from_epoch=self.from_epoch)

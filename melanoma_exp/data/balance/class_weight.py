"""Weights in the loss."""

from typing import Literal

from pydantic import Field

from melanoma_exp.data.balance.base import Balance, class_weights
from melanoma_exp.data.samples import Plan, Samples


class ClassWeight(Balance):
    """Every image once; the loss of rare classes weighs more."""

    kind: Literal["class_weight"]
    scheme: Literal["balanced", "sqrt", "effective_number"]
    beta: float = Field(gt=0, lt=1)

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch; `seed` is not needed."""
        return Plan(samples, class_weights(samples.counts(), self.scheme, self.beta))

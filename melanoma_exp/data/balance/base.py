"""The contract of balancing: how unequal classes are evened out, on training rows only.

`apply` takes the training rows and returns the plan of an epoch: which rows, which synthetic
children, which class weights. The augmentation policy draws a child's pixels.
"""

from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.data.samples import Plan, Samples
from melanoma_exp.spec import Spec
from melanoma_exp.system.randomness import Purpose, generator

Weighting = Literal["none", "balanced", "sqrt", "effective_number"]


class Balance(Spec):
    """Base of all balancers: changes no row and weighs all classes alike."""

    kind: str

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch.

        Args:
            samples: The training rows (in the published order: all rows but the test part).
            seed: Chooses the sources of children and the rows that stay.
        """
        return Plan(samples, class_weights(samples.counts(), "none", 0))


class Resample(Balance):
    """Base of the balancers that change how often a class is seen."""

    class_weight: Weighting
    beta: float = Field(gt=0, lt=1)
    force: bool

    @model_validator(mode="after")
    def _corrects_once(self) -> Self:
        if self.class_weight != "none" and not self.force:
            raise ValueError(
                "evens the classes out twice, by resampling and by "
                f"class_weight={self.class_weight}; set class_weight=none, or force=true if meant"
            )
        return self

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch."""
        rows = self.resample(samples, generator(seed, Purpose.BALANCE))
        return Plan(rows, class_weights(rows.counts(), self.class_weight, self.beta))

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns the rows of an epoch."""
        raise NotImplementedError


def class_weights(counts: np.ndarray, scheme: Weighting, beta: float) -> np.ndarray:
    """Returns the loss weight of each class, scaled to a mean of 1 over all rows.

    Args:
        counts: int (c,), rows of each class.
        scheme: `balanced` 1/n, `sqrt` 1/sqrt(n), `effective_number` (1 - beta)/(1 - beta**n) after
            Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019.
        beta: Of `effective_number`, in (0, 1).

    Returns:
        float64 (c,); 0 for a class without rows.
    """
    n = np.maximum(counts, 1).astype(float)
    weight = {
        "none": np.ones_like(n),
        "balanced": 1 / n,
        "sqrt": 1 / np.sqrt(n),
        "effective_number": (1 - beta) / (1 - beta**n),
    }[scheme] * (counts > 0)
    return weight * counts.sum() / max((weight * counts).sum(), 1e-12)


def children(samples: Samples, wanted: np.ndarray, draw: np.random.Generator) -> Samples:
    """Returns `wanted[c]` children of random images of each class c."""
    parents = [
        draw.choice(np.flatnonzero(samples.label == label), size)
        for label, size in enumerate(wanted)
        if size
    ]
    return samples.children(np.concatenate([np.empty(0, np.int64), *parents]))

"""How unequal classes are evened out, on training rows only.

`apply` takes the training rows and returns the plan of an epoch: which rows, which synthetic
children, which class weights. How a child's pixels come about is the augmentation policy's matter.
"""

from typing import Annotated, Literal, Self

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


class NoBalance(Balance):
    """Every image once, every class alike."""

    kind: Literal["none"]


class ClassWeight(Balance):
    """Every image once; the loss of rare classes weighs more."""

    kind: Literal["class_weight"]
    scheme: Literal["balanced", "sqrt", "effective_number"]
    beta: float = Field(gt=0, lt=1)

    def apply(self, samples: Samples, seed: int) -> Plan:
        """Plans an epoch; `seed` is not needed."""
        return Plan(samples, class_weights(samples.counts(), self.scheme, self.beta))


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
        return samples.join(_children(samples, wanted, draw))


class Equalize(Resample):
    """Adds synthetic children until every class has `to` images (null: as many as the largest)."""

    kind: Literal["equalize"]
    to: int | None = Field(ge=1)

    def resample(self, samples: Samples, draw: np.random.Generator) -> Samples:
        """Returns all rows and the children."""
        counts = samples.counts()
        wanted = np.maximum((self.to or counts.max()) - counts, 0) * (counts > 0)
        return samples.join(_children(samples, wanted, draw))


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


def _children(samples: Samples, wanted: np.ndarray, draw: np.random.Generator) -> Samples:
    """Returns `wanted[c]` children of random images of each class c."""
    parents = [
        draw.choice(np.flatnonzero(samples.label == label), size)
        for label, size in enumerate(wanted)
        if size
    ]
    return samples.children(np.concatenate([np.empty(0, np.int64), *parents]))


AnyBalance = Annotated[
    NoBalance | ClassWeight | AddPerClass | Equalize | Undersample, Field(discriminator="kind")
]

"""The contract of losses.

Targets are class indices, int (b,), or shares of the classes, float32 (b, classes), as a batch step
such as mixup gives them. Validation uses the same loss without class weights, so `val/loss`
compares the epochs of a run but not runs of different losses; `val/log_loss` compares those.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from melanoma_exp.data.samples import Plan
from melanoma_exp.spec import Spec


@dataclass(frozen=True)
class ClassFrequencies:
    """How often training has and shows each class.

    Attributes:
        images: int64 (classes,), rows of the plan, synthetic children included.
        shares: float64 (classes,), expected share of the rows that an epoch shows; a class without
            rows counts as one row.
    """

    images: np.ndarray
    shares: np.ndarray

    @classmethod
    def of(cls, plan: Plan) -> Self:
        """Returns those of a plan: sampled rows count as often as they are drawn."""
        images = plan.samples.counts()
        weights = np.ones(len(plan.samples)) if plan.weights is None else plan.weights
        drawn = np.bincount(plan.samples.label, weights, len(images))
        return cls(images, np.maximum(drawn / weights.sum(), 1 / len(weights)))

    @classmethod
    def equal(cls, classes: int) -> Self:
        """Returns those of classes that are equally frequent."""
        return cls(np.ones(classes, np.int64), np.full(classes, 1 / classes))

    def __len__(self) -> int:
        """Returns the number of classes."""
        return len(self.images)


class Loss(Spec):
    """Base of all losses.

    Attributes:
        for_equal_classes: Whether the network's logits are those of equally frequent classes; a
            constant of the class.
    """

    kind: str
    for_equal_classes: ClassVar[bool] = False

    def check(self, plan: Plan) -> None:
        """Checks, before TensorFlow is imported, that the loss suits what an epoch shows.

        Args:
            plan: Of an epoch of training.

        Raises:
            UserError: It does not.
        """

    def of_rows(self, targets: Any, logits: Any, classes: ClassFrequencies) -> Any:
        """Returns the loss of each row, float32 (b,).

        Args:
            targets: Class indices (b,) or (b, 1), or shares of the classes, float32 (b, classes).
            logits: float32 (b, classes).
            classes: How frequent the classes are.
        """
        raise NotImplementedError


def is_soft(targets: Any) -> bool:
    """Whether targets are shares of the classes (b, classes), not indices (b,) or (b, 1)."""
    shape = targets.shape
    return len(shape) == 2 and shape[1] != 1


def as_shares(targets: Any, classes: int) -> Any:
    """Returns targets of either form as shares of the classes, float32 (b, classes)."""
    from keras import ops

    return targets if is_soft(targets) else ops.one_hot(ops.reshape(targets, (-1,)), classes)

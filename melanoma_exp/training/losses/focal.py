"""The focal loss."""

from typing import Any, Literal

from pydantic import Field

from melanoma_exp.training.losses.base import ClassFrequencies, Loss, as_shares


class Focal(Loss):
    """Cross-entropy times (1 - p) ** gamma, p the probability of the true class.

    Lin et al., Focal Loss for Dense Object Detection, ICCV 2017. A soft or smoothed target sums the
    terms of its classes.

    Attributes:
        gamma: Focusing; near 0 the loss is cross-entropy.
        label_smoothing: Share of a target that is spread over all classes.
    """

    kind: Literal["focal"]
    gamma: float = Field(gt=0)
    label_smoothing: float = Field(ge=0, lt=1)

    def of_rows(self, targets: Any, logits: Any, classes: ClassFrequencies) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        import keras

        return keras.losses.categorical_focal_crossentropy(
            as_shares(targets, len(classes)),
            logits,
            alpha=1.0,
            gamma=self.gamma,
            from_logits=True,
            label_smoothing=self.label_smoothing,
        )

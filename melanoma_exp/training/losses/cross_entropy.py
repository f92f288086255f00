"""Cross-entropy."""

from typing import Any, Literal

from pydantic import Field

from melanoma_exp.training.losses.base import ClassFrequencies, Loss, as_shares, is_soft


class CrossEntropy(Loss):
    """Cross-entropy.

    Attributes:
        label_smoothing: Share of a target that is spread over all classes; Szegedy et al.,
            Rethinking the Inception Architecture for Computer Vision, CVPR 2016.
    """

    kind: Literal["cross_entropy"]
    label_smoothing: float = Field(ge=0, lt=1)

    def of_rows(self, targets: Any, logits: Any, classes: ClassFrequencies) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        return cross_entropy(targets, logits, self.label_smoothing, len(classes))


def cross_entropy(targets: Any, logits: Any, label_smoothing: float, classes: int) -> Any:
    """Returns the cross-entropy of each row, float32 (b,); arguments as of `Loss.of_rows`."""
    import keras

    if not label_smoothing and not is_soft(targets):
        return keras.losses.sparse_categorical_crossentropy(targets, logits, from_logits=True)
    return keras.losses.categorical_crossentropy(
        as_shares(targets, classes), logits, from_logits=True, label_smoothing=label_smoothing
    )

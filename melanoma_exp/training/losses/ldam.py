"""Margins that are larger for rarer classes."""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.training.losses.base import ClassFrequencies, Loss, as_shares


class Ldam(Loss):
    """Cross-entropy with the true class's logit lowered by a margin.

    The margin is proportional to images ** -0.25 of the class: Cao et al., Learning Imbalanced
    Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019, who combine it with class
    weights from a late epoch on (`balance=class_weight balance.from_epoch=...`). It depends on the
    images that there are, however often sampling shows them. A soft target is the sum of the losses
    of its classes by their shares.

    Attributes:
        max_margin: That of the rarest class, in units of the logits.
        scale: Multiplies the logits and margins. The paper's 30 is for a head whose logits are
            cosines; ours are not bounded.
    """

    kind: Literal["ldam"]
    max_margin: float = Field(gt=0)
    scale: float = Field(gt=0)

    def margins(self, images: np.ndarray) -> np.ndarray:
        """Returns the margin of each class, float64 (classes,); 0 of one without images."""
        rarity = np.where(images > 0, np.maximum(images, 1) ** -0.25, 0.0)
        return self.max_margin * rarity / max(rarity.max(), 1e-12)

    def of_rows(self, targets: Any, logits: Any, classes: ClassFrequencies) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        from keras import ops

        margins = np.diag(self.margins(classes.images)).astype(np.float32)
        # (b, class that is the true one, class)
        lowered = self.scale * (ops.expand_dims(logits, 1) - margins)
        log_p = ops.diagonal(ops.log_softmax(lowered, axis=-1), axis1=1, axis2=2)
        return -ops.sum(as_shares(targets, len(classes)) * log_p, axis=-1)

"""Cross-entropy of logits that the classes' frequencies are added to."""

from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data.samples import Plan
from melanoma_exp.spec import UserError
from melanoma_exp.training.losses.base import ClassFrequencies, Loss
from melanoma_exp.training.losses.cross_entropy import cross_entropy


class LogitAdjusted(Loss):
    """Cross-entropy of the logits plus `tau` * log(share of the class among the rows shown).

    Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021; with a `tau` of 1 it is the
    balanced softmax of Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition,
    NeurIPS 2020. The network's own logits, which are evaluated, are then those of equally frequent
    classes. Shares are those that training sees: of the plan's rows, or by the weights of
    `balance=sampling`, so what sampling has evened out is not corrected again.

    Attributes:
        tau: How much of the log share is added.
        label_smoothing: Share of a target that is spread over all classes.
    """

    kind: Literal["logit_adjusted"]
    tau: float = Field(gt=0)
    label_smoothing: float = Field(ge=0, lt=1)
    for_equal_classes: ClassVar[bool] = True

    def check(self, plan: Plan) -> None:
        """Refuses class weights, which are not in the shares, and shares that change."""
        if plan.weights is not None and plan.from_epoch > 1:
            raise UserError(
                "train.loss: logit_adjusted needs the same shares in all epochs; set "
                "balance.from_epoch=1, or take another loss"
            )
        if not np.allclose(plan.class_weight, 1):
            raise UserError(
                "train.loss: logit_adjusted evens the classes out, and so do the class weights of "
                "balance; take another loss, or a balance without class weights"
            )

    def of_rows(self, targets: Any, logits: Any, classes: ClassFrequencies) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        adjusted = logits + (self.tau * np.log(classes.shares)).astype(np.float32)
        return cross_entropy(targets, adjusted, self.label_smoothing, len(classes))

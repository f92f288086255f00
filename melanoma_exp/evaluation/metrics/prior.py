"""Prior correction: the predicted class once frequent classes no longer weigh more than rare ones.

A network trained on unequal classes is biased towards the frequent ones, which costs balanced
accuracy. The predicted class is therefore the largest of logit - tau * log(share of the class in
training), the post hoc logit adjustment of Menon et al., Long-Tail Learning via Logit Adjustment,
ICLR 2021; with tau = 1 that of Saerens et al., Neural Computation 14, 2002, for classes that are
alike in number. Probabilities and alerts stay as they are: they answer for images as they come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from melanoma_exp.models.inference import Correction
from melanoma_exp.spec import UserError
from melanoma_exp.training.losses import Loss

GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
FIXED, CHOSEN = "fixed", f"largest balanced accuracy on validation, of {len(GRID)} values"


@dataclass(frozen=True)
class PriorCorrection:
    """How the class shares of training change the predicted class.

    Attributes:
        tau: 0 leaves it as it is, 1 makes all classes alike.
        rule: How tau was chosen, in words.
        shares: By class name its share of what training saw, above 0.
    """

    tau: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    rule: str
    shares: dict[str, Annotated[float, Field(gt=0, le=1)]]

    @property
    def chosen(self) -> bool:
        """Whether validation chose tau."""
        return self.rule != FIXED

    def adjust(self, logits: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Returns logits, float (n, c), whose largest is of the predicted class.

        Args:
            logits: float (n, c), finite.
            classes: Name of each column.

        Raises:
            UserError: A class has no share.
        """
        missing = sorted(set(classes) - set(self.shares))
        if missing:
            raise UserError(
                f"decision.json: prior_correction has no share of {', '.join(missing)}; it belongs "
                "to a different run"
            )
        adjusted: np.ndarray = logits - self.tau * np.log([self.shares[name] for name in classes])
        return adjusted


def check(rule: Correction, loss: Loss) -> list[str]:
    """Returns a line where the loss has evened the classes out already."""
    if rule == "none" or not loss.for_equal_classes:
        return []
    return [
        f"inference.prior_correction: the logits of train/loss={loss.kind} are of equally frequent "
        "classes already; set it to none, or take another loss"
    ]


def choose(
    rule: Correction,
    shares: Mapping[str, float],
    logits: NDArray[np.float64],
    truth: NDArray[np.integer],
    classes: Sequence[str],
) -> PriorCorrection | None:
    """Returns the correction that the config asks for, None for `none`.

    `validation` takes the tau of `GRID` with the largest balanced accuracy, of equal ones the
    smallest: its validation figures are optimistic, and where rare classes have few validation
    images the choice is noisy.

    Args:
        rule: A fixed tau, or how it is chosen.
        shares: By class name its share of what training saw; 0 for a class it never saw.
        logits: float64 (n, c), of validation.
        truth: int (n,).
        classes: Name of each column.
    """
    if rule == "none":
        return None
    # A class without training images has no share to divide by; the rarest one's does no harm.
    rarest = min(share for share in shares.values() if share > 0)
    known = {name: max(shares[name], rarest) for name in classes}
    if rule != "validation":
        return PriorCorrection(rule, FIXED, known)
    candidates = [PriorCorrection(tau, CHOSEN, known) for tau in GRID]
    present = np.unique(truth)
    scores = []
    for one in candidates:
        right = one.adjust(logits, classes).argmax(axis=1) == truth
        scores.append(np.mean([right[truth == k].mean() for k in present]))
    return candidates[int(np.argmax(np.round(scores, 12)))]

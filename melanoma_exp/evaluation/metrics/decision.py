"""The decision of a run: calibration, predicted class, alert threshold and its unsure band.

All of it is chosen on validation alone. Predictions and the evaluation of the test part apply it
unchanged.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import AliasChoices, ConfigDict, Field

from melanoma_exp.evaluation.metrics.prior import PriorCorrection
from melanoma_exp.evaluation.worth import Worth
from melanoma_exp.spec import UserError, validate_json

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Basis:
    """The validation images a decision was chosen on, and its metrics there.

    `sensitivity` is None without a positive image, `specificity` without another one.
    """

    images: Count
    positives: Count
    sensitivity: Share | None
    specificity: Share | None


@dataclass(frozen=True)
class Decision:
    """How logits become calibrated probabilities, a class, an alert, and whether that is unsure.

    Attributes:
        name: Of the alerted class, "melanoma" or "malignant".
        positive: Class names that make it up; empty where the dataset has none of them.
        temperature: Logits are divided by it before the softmax (Guo et al., 2017).
        threshold: An image whose probability reaches it is alerted; None where validation has no
            positive or no other image.
        rule: How the threshold was chosen, in words.
        unsure: Lowest and highest probability of the band in which the threshold could lie for
            another validation set of the same kind; None as above.
        validation: The images it was chosen on.
        out_of_distribution: The fitted score of unusual images, as `OutOfDistribution.to_dict`
            gives it; None without.
        prior_correction: Of the predicted class; None without, and in files of earlier versions.
        worth: What the alert is worth on validation; None in files of earlier versions.
    """

    name: Annotated[str, Field(min_length=1)]
    positive: tuple[str, ...]
    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    threshold: Share | None
    rule: str
    unsure: tuple[Share, Share] | None
    validation: Basis
    out_of_distribution: Annotated[
        # Runs recorded before the key was renamed have `novelty`.
        dict[str, Any] | None,
        Field(validation_alias=AliasChoices("out_of_distribution", "novelty")),
    ]
    prior_correction: PriorCorrection | None = None
    worth: Worth | None = None

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    def to_json(self) -> str:
        """Returns the text that `from_json` reads."""
        return json.dumps(asdict(self), indent=2, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str, where: str = "decision.json") -> "Decision":
        """Reads the text of a `decision.json`.

        Args:
            text: As `to_json` wrote it.
            where: The file's name, for the message.

        Raises:
            UserError: The text is no JSON, a value is missing, unknown or out of range.
        """
        advice = "restore it from a copy of the run's artifacts or train again"
        decision = validate_json(cls, text, where, advice)
        band = decision.unsure
        if (decision.threshold is None) != (band is None) or (
            band is not None and not band[0] <= (decision.threshold or 0) <= band[1]
        ):
            raise UserError(
                f"{where}: is damaged: threshold {decision.threshold} does not fit unsure {band}"
            )
        return decision

    @property
    def sentence(self) -> str:
        """What the alert did on validation, in words."""
        if self.worth is not None:
            return self.worth.sentence(self.name)
        found = self.validation
        if found.sensitivity is None or found.specificity is None:
            return f"There is no alert for {self.name}: validation gave no threshold."
        others = found.images - found.positives
        return (
            f"On validation the alert caught {found.sensitivity * found.positives:.0f} of "
            f"{found.positives} {self.name} and fired on {(1 - found.specificity) * others:.0f} of "
            f"{others} others (recorded before intervals were)."
        )

    @property
    def doubts(self) -> list[str]:
        """Reasons not to believe the alert, a line each; to be shown in red."""
        return self.worth.doubts(self.name) if self.worth is not None else []

    def class_probability(self, logits: np.ndarray) -> np.ndarray:
        """Returns the calibrated probability of each class, float64 (n, c); rows sum to 1.

        Args:
            logits: float (n, c), finite.
        """
        return softmax(logits, self.temperature)

    def predicted(self, logits: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Returns the predicted class, int64 (n,): the most probable one but for a correction.

        Args:
            logits: float (n, c), finite.
            classes: Name of each column.

        Raises:
            UserError: The correction is of other classes.
        """
        if self.prior_correction is not None:
            logits = self.prior_correction.adjust(logits, classes)
        chosen: np.ndarray = logits.argmax(axis=1)
        return chosen

    def probability(self, logits: np.ndarray, classes: Sequence[str]) -> np.ndarray:
        """Returns the calibrated probability of the alerted class, float64 (n,).

        Args:
            logits: float (n, c), finite.
            classes: Name of each column.

        Raises:
            UserError: A class of `positive` is not among the classes.
        """
        missing = sorted(set(self.positive) - set(classes))
        if missing:
            raise UserError(
                f"decision.json: has the classes {', '.join(missing)}, the model "
                f"{', '.join(classes)}; they belong to different runs"
            )
        columns = [k for k, name in enumerate(classes) if name in self.positive]
        chosen: np.ndarray = self.class_probability(logits)[:, columns].sum(axis=1)
        return np.minimum(chosen, 1.0)  # a sum of shares may round to more

    def alerts(self, probability: np.ndarray) -> np.ndarray:
        """Returns which calibrated probabilities are alerted, bool; none without threshold."""
        if self.threshold is None:
            return np.zeros(np.shape(probability), bool)
        return np.asarray(probability) >= self.threshold

    def is_unsure(self, probability: np.ndarray) -> np.ndarray:
        """Returns which calibrated probabilities are in the unsure band, bool, edges included."""
        if self.unsure is None:
            return np.zeros(np.shape(probability), bool)
        low, high = self.unsure
        return (np.asarray(probability) >= low) & (np.asarray(probability) <= high)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Returns the softmax of the logits over a temperature, float64 (n, c).

    Args:
        logits: float (n, c), finite.
        temperature: Above 0.
    """
    scaled = np.asarray(logits, np.float64) / temperature
    exponent = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    result: np.ndarray = exponent / exponent.sum(axis=1, keepdims=True)
    return result

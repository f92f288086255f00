"""The options of the group `evaluation`: how trained models are evaluated.

Nothing here changes predictions, and weights only where a metric that it defines is monitored.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.evaluation.metrics.base import AnyMetric
from melanoma_exp.spec import Spec

Inside = Annotated[float, Field(gt=0, lt=1)]


class Threshold(Spec):
    """How the alert threshold is chosen on validation.

    With `sensitivity` the most specific threshold that keeps the sensitivity at `target` or above;
    with `specificity` the most sensitive one that keeps the specificity there.
    """

    rule: Literal["sensitivity", "specificity"]
    target: Inside


class Prevalence(Spec):
    """Share of the alerted class among the lesions a clinic looks at."""

    melanoma: Inside
    malignant: Inside

    def of(self, name: str) -> float:
        """Returns the share of "melanoma" or "malignant"."""
        share: float = getattr(self, name)
        return share


class Evaluation(Spec):
    """What is computed of validation and test predictions.

    Attributes:
        objective: The scalar that sweeps rank their jobs by, and searches optimise.
        metrics: Metrics beside the built-in ones, defined by an extension.
        confidence: Of all intervals.
        resamples: Of the bootstrap.
        seed: Of the bootstrap, and of the random weights that Grad-CAM is checked with.
        bins: Of the calibration error and the reliability diagram.
        threshold: How the alert threshold is chosen.
        specificities: At which sensitivity is read off the ROC curve.
        sensitivities: At which specificity is read off it.
        partial_auc_above: Sensitivity above which the partial area is taken.
        prevalence: For predictive values and the number needed to biopsy.
        explained: Most images drawn with Grad-CAM; 0 does without.
        figures: Whether a run's figures are drawn; tables, predictions and scores are the same.
        report: Whether a finished run gets its page, `report.html`, which `melanoma-exp report`
            writes at any time.
        ages: Where age bands begin, ascending, in years.
        subgroups: For each attribute the metadata columns it may stand in, the first that exists
            counts; an attribute without any is reported as not assessable.
    """

    objective: str
    metrics: tuple[AnyMetric, ...]
    confidence: Inside
    resamples: int = Field(ge=100, le=100_000)
    seed: int = Field(ge=0, lt=2**32)
    bins: int = Field(ge=2, le=100)
    threshold: Threshold
    specificities: tuple[Inside, ...]
    sensitivities: tuple[Inside, ...]
    partial_auc_above: Inside
    prevalence: Prevalence
    explained: int = Field(ge=0, le=64)
    figures: bool
    report: bool
    ages: tuple[Annotated[int, Field(ge=1, le=120)], ...]
    subgroups: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _ages_rise(self) -> Self:
        if list(self.ages) != sorted(set(self.ages)):
            raise ValueError(f"ages: should rise (got {', '.join(map(str, self.ages))})")
        return self

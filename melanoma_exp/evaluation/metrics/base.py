"""The contract of a metric that is added to the evaluation by its config."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from melanoma_exp.spec import Spec
from melanoma_exp.system.extensions.group import Group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from melanoma_exp.evaluation.metrics.interval import Bootstrap, Floats


class Metric(Spec):
    """Base of metrics that users add: a function of the weights of groups of images.

    Weights of one give the metric itself, the counts of a bootstrap resample its value there: so an
    interval needs no code. It is logged as `final/val/<name>` with its interval, and may be
    monitored, ranked by and searched for as `val/<name>`.

    Attributes:
        name: How it is logged.
        higher_is_better: A constant of the class.
    """

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    higher_is_better: ClassVar[bool] = True

    def function(
        self,
        truth: "NDArray[np.integer]",
        probability: "Floats",
        classes: Sequence[str],
        bootstrap: "Bootstrap",
    ) -> "Callable[[Floats], Floats]":
        """Returns the metric as a function of weights.

        Args:
            truth: int (n,), n >= 1, labels 0 to c - 1.
            probability: float64 (n, c), finite, rows sum to 1, not calibrated.
            classes: The c class names.
            bootstrap: Of the n rows; `bootstrap.cells` sums over the rows of each group.

        Returns:
            From float64 (groups, m), the weight of each group in m samples, to float64 (m,); NaN
            where the metric is undefined.
        """
        raise NotImplementedError


AnyMetric = Annotated[Metric, Group("evaluation.metrics", Metric)]  # options come from outside

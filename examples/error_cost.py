"""The mean cost of a wrong answer, as a metric beside the built-in ones.

Try it: `melanoma-exp extend=examples/error_cost.py evaluation=error_cost`
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from melanoma_exp.evaluation.metrics.base import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from melanoma_exp.evaluation.metrics.interval import Bootstrap, Floats


class ErrorCost(Metric):
    """Cost of an image on average, where a missed positive costs more than a false alarm.

    Attributes:
        positive: Classes that must not be missed.
        missed: Cost of calling one of them anything else; a false alarm costs 1.
    """

    kind: Literal["error_cost"]
    positive: tuple[str, ...]
    missed: float = Field(ge=0)
    higher_is_better: ClassVar[bool] = False

    def function(
        self,
        truth: "NDArray[np.integer]",
        probability: "Floats",
        classes: Sequence[str],
        bootstrap: "Bootstrap",
    ) -> "Callable[[Floats], Floats]":
        """Returns the mean cost as a function of group weights."""
        import numpy as np

        positive = np.isin(np.array(classes), self.positive)
        is_positive, called = positive[truth], positive[probability.argmax(axis=1)]
        cost = np.where(is_positive & ~called, self.missed, 1.0 * (~is_positive & called))
        one_cell = np.zeros(len(truth), np.int64)
        costs = bootstrap.cells(one_cell, 1, values=cost)
        images = bootstrap.cells(one_cell, 1)
        return lambda weights: (costs @ weights)[0] / (images @ weights)[0]

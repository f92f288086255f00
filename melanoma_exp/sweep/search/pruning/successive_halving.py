"""The option `successive_halving`: few epochs for many jobs, all epochs for the best of them."""

import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from melanoma_exp.sweep.search.pruning.base import Rule

if TYPE_CHECKING:
    import optuna


class SuccessiveHalving(Rule):
    """Lets the best job in `reduction_factor` go on, at epochs that grow by the same factor.

    Asynchronous, as Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020:
    a job is compared with those that have reached its rung so far, without waiting for others. The
    best one there always goes on, so the first job is never pruned. Unlike there, a job that is not
    among the best is given up for good. Optuna's pruner of this name marks a rung as passed before
    it decides, so that a job that is killed in between would go on.

    Attributes:
        min_epochs: The first rung: no job is pruned before so many epochs.
        reduction_factor: One job in so many goes on from each rung, and has so many times the
            epochs at the next one.
    """

    kind: Literal["successive_halving"]
    min_epochs: int = Field(ge=1)
    reduction_factor: int = Field(ge=2)

    def check(self, epochs: int) -> list[str]:
        """Refuses a first rung that no job reaches before its end."""
        if self.min_epochs < epochs:
            return []
        return [
            f"hydra.sweeper.pruner.min_epochs: {self.min_epochs} is not below train.epochs, "
            f"{epochs}, so that no job would be pruned"
        ]

    def verdict(self, study: "optuna.Study", trial: "optuna.trial.FrozenTrial", sign: float) -> str:
        """Compares the job with those that have reached its rung, if it stands on one."""
        from optuna.study import StudyDirection

        epoch = trial.last_step
        if epoch is None or not self._is_rung(epoch):
            return ""
        trials = [one for one in study.get_trials(deepcopy=False) if one.number != trial.number]
        own, *others = (
            one.intermediate_values[epoch]
            for one in (trial, *trials)
            if epoch in one.intermediate_values
        )
        up = 1 if study.direction == StudyDirection.MAXIMIZE else -1
        better = sum(up * other > up * own or math.isnan(own) for other in others)
        places = max(1, (1 + len(others)) // self.reduction_factor)
        if better < places and not math.isnan(own):
            return ""
        best = f"the best {places}" if places > 1 else "the best"
        return (
            f"its {self.monitor} at epoch {epoch}, {sign * own:.4g}, is not {best} of the "
            f"{1 + len(others)} jobs that got there"
        )

    def _is_rung(self, epoch: int) -> bool:
        rung = self.min_epochs
        while rung < epoch:
            rung *= self.reduction_factor
        return rung == epoch

"""The option `median`: gives up what is worse than half of the other jobs."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from melanoma_exp.sweep.search.pruning.base import Rule

if TYPE_CHECKING:
    import optuna


class Median(Rule):
    """Prunes a job whose best epoch so far is worse than the median of the others at that epoch.

    Attributes:
        n_startup_trials: Pruning begins when this many jobs have finished.
        n_warmup_epochs: No job is pruned before this many epochs.
    """

    kind: Literal["median"]
    n_startup_trials: int = Field(ge=1)
    n_warmup_epochs: int = Field(ge=0)

    def verdict(self, study: "optuna.Study", trial: "optuna.trial.FrozenTrial", sign: float) -> str:
        """Asks Optuna, whose rule it is."""
        from optuna.pruners import MedianPruner
        from optuna.study import StudyDirection

        rule = MedianPruner(self.n_startup_trials, self.n_warmup_epochs)
        if not rule.prune(study, trial):
            return ""
        best = max if study.direction == StudyDirection.MAXIMIZE else min
        value = sign * best(trial.intermediate_values.values())
        return (
            f"its best {self.monitor}, {value:.4g}, is behind the median of the other jobs at "
            f"epoch {trial.last_step}"
        )

"""Prunes the jobs of a search: gives up those that fall behind the others."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_exp.sweep.search import config
from melanoma_exp.sweep.search.pruning.base import Rule
from melanoma_exp.sweep.search.study import Study


class Pruner:
    """Reports each epoch of a job to the study and judges the job by the rule of the search.

    Attributes:
        monitor: The metric of an epoch that it needs.
    """

    def __init__(self, rule: Rule, higher_is_better: bool, study: Study, number: int) -> None:
        """Prepares.

        Args:
            rule: Which jobs are pruned.
            higher_is_better: The direction of its metric.
            study: Of the search.
            number: Of the job.
        """
        self.monitor, self._rule = rule.monitor, rule
        self._study, self._number = study, number
        self._sign = study.sign(higher_is_better)

    def __call__(self, history: Mapping[str, Sequence[float]]) -> str:
        """Reports the epochs that the study does not know yet, and judges the job after each.

        A job that is resumed asks again after its last epoch: it may have been killed before it
        heard the answer. A study that cannot be reached costs a warning, never the job.

        Args:
            history: For each metric its value in every epoch.

        Returns:
            Why the job is pruned, "" if it is not.
        """
        values = history[self.monitor]
        try:
            trial = self._study.trial(self._number)
            known = self._study.trials[self._number].intermediate_values
            unknown = [epoch for epoch in range(1, len(values) + 1) if epoch not in known]
            for epoch in unknown:
                trial.report(self._sign * values[epoch - 1], epoch)
                if reason := self._verdict():
                    return reason
            return "" if unknown else self._verdict()
        except Exception as error:  # of any driver
            warnings.warn(f"the search cannot be reached: {error}", stacklevel=2)
            return ""

    def _verdict(self) -> str:
        trial = self._study.trials[self._number]
        return self._rule.verdict(self._study.optuna, trial, self._sign)


def open_pruner(
    folder: Path, sweep: str, number: int, directions: Mapping[str, bool]
) -> Pruner | None:
    """Returns the pruner of a job of a search, None where no job is pruned.

    Args:
        folder: Of the sweep.
        sweep: Its name.
        number: Of the job.
        directions: Of every metric that can be monitored: whether higher is better.

    Raises:
        UserError: The study cannot be opened.
    """
    search = config.read(folder)
    rule = search.options.pruner
    if rule is None:
        return None
    return Pruner(rule, directions[rule.monitor], Study(search, folder, sweep), number)

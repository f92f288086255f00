"""Whether a job of a search is worth its next epoch."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_exp.sweep.search import spec
from melanoma_exp.sweep.search.spec import Median
from melanoma_exp.sweep.search.study import Study
from melanoma_exp.training.monitors import SERIES


class Judge:
    """Tells the study what each epoch gave and asks whether the job is to be given up."""

    def __init__(self, rule: Median, study: Study, number: int) -> None:
        """Prepares.

        Args:
            rule: Of the search.
            study: Of the search.
            number: Of the job.
        """
        self._rule, self._study, self._number = rule, study, number
        self._sign = -1.0 if rule.monitor == "val_loss" else 1.0

    def __call__(self, history: Mapping[str, Sequence[float]]) -> str:
        """Reports the epochs that the study does not know yet.

        A study that cannot be reached costs a warning, never the job.

        Args:
            history: For each figure its value in every epoch.

        Returns:
            Why the job is given up, "" where it is not.
        """
        values = history[SERIES[self._rule.monitor]]
        try:
            trial = self._study.trial(self._number)
            known = self._study.trials[self._number].intermediate_values
            for epoch, value in enumerate(values, 1):
                if epoch not in known:
                    trial.report(self._sign * value, epoch)
            if not trial.should_prune():
                return ""
        except Exception as error:  # of any driver
            warnings.warn(f"the search cannot be reached: {error}", stacklevel=2)
            return ""
        best = self._sign * max(self._sign * value for value in values)
        return (
            f"its best {self._rule.monitor}, {best:.4g}, is behind the median of the other jobs "
            f"at epoch {len(values)}"
        )


def judge_of(folder: Path, sweep: str, number: int) -> Judge | None:
    """Returns what judges a job of a search, None where every job is let to its end.

    Args:
        folder: Of the sweep.
        sweep: Its name.
        number: Of the job.

    Raises:
        UserError: The study cannot be opened.
    """
    search = spec.read(folder)
    rule = search.options.pruner
    return Judge(rule, Study(search, folder, sweep), number) if rule else None

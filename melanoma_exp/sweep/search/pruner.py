"""Prunes the jobs of a search: gives up those that fall behind the others."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

from melanoma_exp.sweep.search import config
from melanoma_exp.sweep.search.study import Study


class Pruner:
    """Reports each epoch of a job to the study and asks whether to prune the job.

    Attributes:
        monitor: The metric of an epoch that it needs.
    """

    def __init__(self, monitor: str, higher_is_better: bool, study: Study, number: int) -> None:
        """Prepares.

        Args:
            monitor: The metric of an epoch that is compared.
            higher_is_better: Its direction.
            study: Of the search.
            number: Of the job.
        """
        self.monitor, self._study, self._number = monitor, study, number
        self._best = max if higher_is_better else min
        self._sign = study.sign(higher_is_better)

    def __call__(self, history: Mapping[str, Sequence[float]]) -> str:
        """Reports the epochs that the study does not know yet.

        A study that cannot be reached costs a warning, never the job.

        Args:
            history: For each metric its value in every epoch.

        Returns:
            Why the job is pruned, "" if it is not.
        """
        values = history[self.monitor]
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
        return (
            f"its best {self.monitor}, {self._best(values):.4g}, is behind the median of the other "
            f"jobs at epoch {len(values)}"
        )


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
    if search.options.pruner is None:
        return None
    monitor = search.options.pruner.monitor
    return Pruner(monitor, directions[monitor], Study(search, folder, sweep), number)

"""Logs the metrics of epochs, later where the log fails for a while."""

from collections.abc import Mapping

from melanoma_exp.spec import UserError
from melanoma_exp.training.interfaces import LogMetrics, ProgressListener


class MetricLog:
    """Logs each epoch; what a full disk or a missing server refuses is retried with the next."""

    def __init__(self, log: LogMetrics, progress: ProgressListener) -> None:
        """Prepares.

        Args:
            log: Called with the metrics of an epoch and its number from 1.
            progress: Warned once of each time that the log fails.
        """
        self._log, self._progress = log, progress
        self._pending: dict[int, Mapping[str, float]] = {}
        self._warned = False

    def add(self, metrics: Mapping[str, float], epoch: int) -> None:
        """Logs an epoch and all earlier ones that are still pending; warns where that fails."""
        self._pending[epoch] = metrics
        try:
            self.flush()
            self._warned = False
        except (UserError, OSError) as error:
            if not self._warned:
                self._progress.warn(
                    f"the metrics of epoch {epoch} cannot be logged ({error}); training continues "
                    "and logging is retried after every epoch"
                )
            self._warned = True

    def flush(self) -> None:
        """Logs all pending epochs.

        Raises:
            UserError: The store still refuses them.
            OSError: They still cannot be written.
        """
        for epoch, metrics in list(self._pending.items()):
            self._log(metrics, epoch)
            del self._pending[epoch]

"""The figures of epochs on their way to the log, which may be out of order for a while."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.training.fit import Progress

Log = Callable[[Mapping[str, float], int], None]


class Journal:
    """Logs each epoch; what a full disk or an absent server refuses is kept and logged later."""

    def __init__(self, log: Log, progress: "Progress") -> None:
        """Prepares.

        Args:
            log: Called with the figures of an epoch and its number from 1.
            progress: Warned once of each time that the log fails.
        """
        self._log, self._progress = log, progress
        self._unlogged: dict[int, Mapping[str, float]] = {}
        self._warned = False

    def add(self, figures: Mapping[str, float], epoch: int) -> None:
        """Logs an epoch and those before it that are not logged yet, as far as that is possible."""
        self._unlogged[epoch] = figures
        try:
            self.finish()
            self._warned = False
        except (UserError, OSError) as error:
            if not self._warned:
                self._progress.warn(
                    f"the figures of epoch {epoch} cannot be logged ({error}); training goes on, "
                    "and they are logged as soon as that is possible"
                )
            self._warned = True

    def finish(self) -> None:
        """Logs what is not logged yet.

        Raises:
            UserError: The store still refuses it.
            OSError: It still cannot be written.
        """
        for epoch, figures in list(self._unlogged.items()):
            self._log(figures, epoch)
            del self._unlogged[epoch]

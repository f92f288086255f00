"""The base of the options of the group `hydra/sweeper/pruner`."""

from typing import TYPE_CHECKING

from pydantic import field_validator

from melanoma_exp.spec import Spec

if TYPE_CHECKING:
    import optuna


class Rule(Spec):
    """Decides from what all jobs have reported whether one of them is given up.

    Attributes:
        monitor: The metric of an epoch that is compared, such as `val/accuracy`.
    """

    kind: str
    monitor: str

    @field_validator("monitor")
    @classmethod
    def _read_old_names(cls, monitor: str) -> str:
        """Searches of earlier versions have `val_loss` and `val_accuracy`."""
        return {"val_loss": "val/loss", "val_accuracy": "val/accuracy"}.get(monitor, monitor)

    def check(self, epochs: int) -> list[str]:
        """Returns a line for each thing that does not go with jobs of so many epochs."""
        return []

    def verdict(self, study: "optuna.Study", trial: "optuna.trial.FrozenTrial", sign: float) -> str:
        """Judges a job after the last epoch that it has reported.

        A function of what is reported alone: it can be asked again by a job that is resumed.

        Args:
            study: Has the reports of all jobs; those that are better in its direction win.
            trial: Of the job.
            sign: What a reported value is multiplied by to give the metric.

        Returns:
            Why it is given up, "" if it is not.
        """
        raise NotImplementedError

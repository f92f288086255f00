"""What the training loop asks of its callers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

EnterPhase = Callable[[int], None]  # sets what is trained in an epoch, counted from 0
LogMetrics = Callable[[Mapping[str, float], int], None]  # metrics of an epoch, its number from 1


class ProgressListener:
    """Is notified of the progress of training; this base ignores it."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """A step has ended; `epoch` and `step` count from 1."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch has ended."""

    def warn(self, line: str) -> None:
        """Something failed and training continues."""


class Pruner(Protocol):
    """Stops a training that is not worth its next epoch."""

    monitor: str  # the metric of an epoch that it needs

    def __call__(self, history: Mapping[str, Sequence[float]]) -> str:
        """Returns why training is to stop, "" where it is not.

        Args:
            history: For each metric its value in every epoch.
        """


class Loader(Protocol):
    """Gives the batches of any epoch from any step on."""

    @property
    def steps(self) -> int:
        """Steps an epoch."""

    @property
    def images(self) -> int:
        """Images an epoch."""

    def dataset(self, epoch: int = 0, first: int = 0) -> Any:
        """Returns a tf.data.Dataset of the batches of an epoch, from step `first` on."""

"""What the training loop asks of its callers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

LogMetrics = Callable[[Mapping[str, float], int], None]  # metrics of an epoch, its number from 1
Pruner = Callable[[Mapping[str, Sequence[float]]], str]  # history to why to stop, "" to go on


class ProgressListener:
    """Is notified of the progress of training; this base ignores it."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """A step has ended; `epoch` and `step` count from 1."""

    def epoch(self, epoch: int, metrics: Mapping[str, float]) -> None:
        """An epoch has ended."""

    def warn(self, line: str) -> None:
        """Something failed and training continues."""


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

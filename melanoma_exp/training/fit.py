"""Runs the training loop, reports every epoch as it ends, and can go on from a checkpoint.

Keras' `fit` runs one epoch at a time. What happens between epochs is decided here, because every
part of it must be restored bit for bit when a run is continued.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import keras

from melanoma_exp.training.checkpoint import Saved, Store
from melanoma_exp.training.loop import Loop
from melanoma_exp.training.signals import PrunedError, Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import History


class Progress(Protocol):
    """Who is told how far training has come."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """A step has ended; `epoch` and `step` count from 1."""

    def epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """An epoch has ended."""

    def warn(self, line: str) -> None:
        """Something went wrong and training goes on."""


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


class Judge(Protocol):
    """Decides between two epochs whether training is worth the next one."""

    def __call__(self, history: Mapping[str, Sequence[float]]) -> str:
        """Returns why training is to be given up, "" where it is not."""


def fit(
    model: keras.Model,
    spec: Train,
    train: Loader,
    val: Loader,
    progress: Progress,
    log: Callable[[Mapping[str, float], int], None],
    store: Store,
    signals: Signals,
    saved: Saved | None = None,
    judge: Judge | None = None,
) -> History:
    """Trains a compiled model and leaves it with the weights that are to be kept.

    Args:
        model: Compiled.
        spec: Says how long, what is kept and how often a checkpoint is written.
        train: The training images.
        val: The validation images.
        progress: Told of every step and epoch.
        log: Called with the figures of an epoch and its number from 1.
        store: Where checkpoints go.
        signals: Asked after every step whether to stop.
        saved: The checkpoint to go on from.
        judge: Asked after every epoch; after the last it is only told.

    Returns:
        For each figure its value in every epoch.

    Raises:
        Interrupted: A signal asked to stop; a checkpoint was written.
        PrunedError: The judge gave the training up.
        UserError: All epochs are done and the log still refuses figures.
        OSError: It still cannot be written.
    """
    loop = Loop(model, spec, train, val, progress, log, store, signals)
    if saved is not None:
        loop.restore(saved)
    with signals.deferred():
        while not loop.is_over:
            loop.run_epoch()
            why = judge(loop.course.history) if judge is not None else ""
            if why and not loop.is_over:
                raise PrunedError(why)
    loop.finish()
    return loop.course.history

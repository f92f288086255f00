"""What a worker does that is not the chief: it trains with the others and leaves nothing behind."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.training import fit
from melanoma_exp.training.checkpoint import Position, Saved, Store
from melanoma_exp.training.signals import Signals
from melanoma_exp.training.spec import Train

if TYPE_CHECKING:
    import keras
    import numpy as np


class Silence:
    """Nobody is told how far training has come."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """Says nothing."""

    def epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """Says nothing."""

    def warn(self, line: str) -> None:
        """Says nothing: the chief has the same to say."""


class Nowhere(Store):
    """Keeps no checkpoint: the chief does."""

    def save(
        self,
        position: Position,
        arrays: "Mapping[str, np.ndarray]",
        state: Mapping[str, object],
        best: Position | None = None,
    ) -> None:
        """Writes nothing."""


def follow(
    model: "keras.Model",
    spec: Train,
    train: fit.Loader,
    val: fit.Loader,
    signals: Signals,
    saved: Saved | None,
) -> None:
    """Trains a model as the chief does at the same time.

    Args:
        model: Compiled, with the team's steps.
        spec: Says how long.
        train: This worker's part of the training images.
        val: This worker's part of the validation images.
        signals: To stop, as all workers see them.
        saved: The chief's checkpoint to go on from.
    """

    def keep_silent(figures: Mapping[str, float], step: int) -> None:
        pass

    fit.fit(model, spec, train, val, Silence(), keep_silent, Nowhere(Path()), signals, saved)

"""Runs the training loop and reports every epoch as it ends."""

import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import keras

from melanoma_exp.training.spec import Train

History = dict[str, list[float]]
NAMES = {
    "loss": "train/loss",
    "accuracy": "train/accuracy",
    "val_loss": "val/loss",
    "val_accuracy": "val/accuracy",
}


class Progress(Protocol):
    """Who is told how far training has come."""

    def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
        """A step has ended; `epoch` and `step` count from 1."""

    def epoch(self, epoch: int, figures: Mapping[str, float]) -> None:
        """An epoch has ended."""


def fit(
    model: keras.Model,
    spec: Train,
    train: Any,
    steps: int,
    images: int,
    val: Any,
    progress: Progress,
    log: Callable[[Mapping[str, float], int], None],
) -> History:
    """Trains a compiled model and leaves it with the weights that are to be kept.

    Args:
        model: Compiled.
        spec: Says how long and what is kept.
        train: A dataset that lasts for all epochs.
        steps: Steps an epoch.
        images: Images an epoch, for images/second.
        val: The validation dataset.
        progress: Told of every step and epoch.
        log: Called with the figures of an epoch and its number from 1.

    Returns:
        For each figure its value in every epoch.
    """
    report = _Report(spec, steps, images, progress, log)
    # The reporter comes last: it sees what the others did to the learning rate and the weights.
    model.fit(
        train,
        epochs=spec.epochs,
        steps_per_epoch=steps,
        validation_data=val,
        callbacks=[*_callbacks(spec), report],
        verbose=0,
        shuffle=False,
    )
    return report.history


def _callbacks(spec: Train) -> list[keras.callbacks.Callback]:
    callbacks: list[keras.callbacks.Callback] = []
    if spec.ema is not None:
        # `best` is chosen at an epoch's end and must then find the averaged weights in the model,
        # the ones that were validated; `last` gets them from Keras when `fit` ends.
        callbacks.append(keras.callbacks.SwapEMAWeights(swap_on_epoch=spec.keep == "best"))
    if spec.schedule == "plateau":
        callbacks.append(
            keras.callbacks.ReduceLROnPlateau(
                monitor=spec.plateau.monitor,
                factor=spec.plateau.factor,
                patience=spec.plateau.patience,
                min_lr=spec.plateau.min_learning_rate,
            )
        )
    if spec.early_stopping.patience is not None or spec.keep == "best":
        callbacks.append(
            keras.callbacks.EarlyStopping(
                monitor=spec.early_stopping.monitor,
                min_delta=spec.early_stopping.min_delta,
                patience=spec.early_stopping.patience or spec.epochs,
                restore_best_weights=spec.keep == "best",
            )
        )
    return callbacks


class _Report(keras.callbacks.Callback):
    """Collects the history, measures time, tells the screen and the tracker."""

    def __init__(self, spec: Train, steps: int, images: int, progress: Progress, log: Any) -> None:
        super().__init__()
        self.history: History = {}
        self._spec, self._steps, self._images = spec, steps, images
        self._progress, self._log = progress, log
        self._start = self._trained = 0.0
        self._epoch, self._rate = 0, 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._epoch = epoch + 1
        # A schedule has moved on by the epoch's end; the rate that was used is the one now.
        self._rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        self._start = time.perf_counter()

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Tells the screen; the clock of training stops at the last step, before validation."""
        self._trained = time.perf_counter()
        logs = logs or {}
        self._progress.step(self._epoch, batch + 1, float(logs["loss"]), float(logs["accuracy"]))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Logs the epoch's figures."""
        logs = logs or {}
        figures = {name: float(logs[key]) for key, name in NAMES.items() if key in logs}
        figures |= {
            "learning_rate": self._rate,
            "seconds": time.perf_counter() - self._start,
            "images_per_second": self._images / max(self._trained - self._start, 1e-9),
        }
        for name, value in figures.items():
            self.history.setdefault(name, []).append(value)
        self._log(figures, epoch + 1)
        self._progress.epoch(epoch + 1, figures)

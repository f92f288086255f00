"""Trains a compiled model for as many epochs as the config says."""

import keras

from melanoma_exp.training.checkpoint import CheckpointStore, SavedCheckpoint
from melanoma_exp.training.interfaces import (
    EnterPhase,
    Loader,
    LogMetrics,
    ProgressListener,
    Pruner,
)
from melanoma_exp.training.loop import Loop
from melanoma_exp.training.monitors import Scorer, return_logits
from melanoma_exp.training.signals import PrunedError, Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import History


def fit(
    model: keras.Model,
    spec: Train,
    train: Loader,
    val: Loader,
    signals: Signals,
    *,
    progress: ProgressListener | None = None,
    log: LogMetrics | None = None,
    store: CheckpointStore | None = None,
    saved: SavedCheckpoint | None = None,
    pruner: Pruner | None = None,
    scorer: Scorer | None = None,
    enter_phase: EnterPhase = lambda epoch: None,
) -> History:
    """Trains a compiled model and leaves it with the weights that `keep` selects.

    Args:
        model: Compiled.
        spec: How long, which weights are kept, how often a checkpoint is written.
        train: The training images.
        val: The validation images.
        signals: Checked after every step.
        progress: Notified of every step and epoch; None in a worker that is not the chief.
        log: Called with the metrics of an epoch and its number from 1; None does not log.
        store: Where checkpoints go; None writes none.
        saved: The checkpoint to resume from.
        scorer: Computes monitored metrics beyond loss and accuracy.
        enter_phase: Called before every epoch and before restoring.
        pruner: Called after every epoch with the history; after the last its answer is ignored.

    Returns:
        For each metric its value in every epoch.

    Raises:
        Interrupted: A signal asked to stop; a checkpoint was written.
        PrunedError: The pruner stopped training.
        UserError: All epochs are done and the log still refuses metrics.
        OSError: It still cannot be written.
    """
    if scorer is not None and scorer.names:
        return_logits(model)
    loop = Loop(model, spec, train, val, signals, progress, log, store, scorer)
    if saved is not None:
        begun = saved.state["epoch"] - (not saved.state["step"])  # the last epoch that has begun
        enter_phase(max(begun, 0))  # whose optimizer was saved
        loop.restore(saved)

    def ask_pruner() -> None:
        if pruner is not None and loop.state.history:
            reason = pruner(loop.state.history)
            if reason and not loop.is_over:
                raise PrunedError(reason)

    with signals.deferred():
        if not loop.state.step:  # stopped between two epochs, it may not have heard the answer
            ask_pruner()
        while not loop.is_over:
            enter_phase(loop.state.epoch)
            loop.run_epoch()
            ask_pruner()
    loop.finish()
    return loop.state.history

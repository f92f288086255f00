"""The training loop: Keras' `fit` runs one epoch at a time, the rest happens here.

What happens between epochs is decided here and not by Keras' callbacks, because all of it must be
restored bit for bit when a run is resumed.
"""

import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from melanoma_exp.training import monitors
from melanoma_exp.training.averaging.weights import Averaging
from melanoma_exp.training.checkpoint import CheckpointStore, SavedCheckpoint
from melanoma_exp.training.data_wait import DataWait
from melanoma_exp.training.interfaces import Loader, LogMetrics, ProgressListener
from melanoma_exp.training.metric_log import MetricLog
from melanoma_exp.training.signals import Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import TrainingState, restore_metrics, restore_model, to_arrays


class Loop(keras.callbacks.Callback):
    """The loop over epochs; as a callback of each `fit` it sees every step."""

    def __init__(
        self,
        model: keras.Model,
        spec: Train,
        train: Loader,
        val: Loader,
        signals: Signals,
        progress: ProgressListener | None,
        log: LogMetrics | None,
        store: CheckpointStore | None,
        scorer: monitors.Scorer | None,
    ) -> None:
        super().__init__()
        self.state = TrainingState()
        self._net, self._spec, self._train, self._val = model, spec, train, val
        self._signals, self._progress, self._store = signals, progress or ProgressListener(), store
        self._log = MetricLog(log or (lambda metrics, epoch: None), self._progress)
        self._running: Mapping[str, np.ndarray] | None = None  # metrics of a resumed epoch
        self._averaging = Averaging(model, spec, train)
        self._start = 0.0
        self._wait = DataWait()
        self._can_save = True  # the last checkpoint could be written
        self._directions = scorer.directions if scorer else monitors.BUILT_IN
        self._score = scorer if scorer and scorer.names else None

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done or training was stopped early."""
        return self.state.is_over or self.state.epoch >= self._spec.epochs

    def restore(self, saved: SavedCheckpoint) -> None:
        """Resumes from a checkpoint."""
        self.state = TrainingState.from_checkpoint(saved.state, saved.arrays)
        restore_model(self._net, saved.arrays)
        self._running = saved.arrays
        # Keras creates its running metrics with the first batch; testing changes nothing else.
        self._net.test_on_batch(*next(iter(self._val.dataset())))
        for epoch in range(1, self.state.epoch + 1):  # the log ignores those it has
            metrics = {name: values[epoch - 1] for name, values in self.state.history.items()}
            self._log.add(metrics, epoch)

    def run_epoch(self) -> None:
        """Trains the rest of an epoch, validates, decides what follows, writes a checkpoint."""
        state, spec = self.state, self._spec
        self._start = time.perf_counter()  # also where only the validation is left
        if state.step < self._train.steps:
            self._run_steps()
        self._averaging.apply(state)
        self._logits: list[np.ndarray] = []  # where they are scored
        val = self._net.evaluate(self._val.dataset(), callbacks=[self], verbose=0, return_dict=True)
        metrics = {
            **state.trained,
            "val/loss": float(val["loss"]),
            "val/accuracy": float(val["accuracy"]),
            **(self._score(np.concatenate(self._logits)) if self._score else {}),
            "learning_rate": state.rate,
            "seconds": state.seconds + time.perf_counter() - self._start,
            "images_per_second": self._train.images / max(state.seconds, 1e-9),
            **self._wait_metrics(),
        }
        self._decide(metrics)
        due = state.epoch % spec.checkpoint.every_epochs == 0 or self.is_over
        if due:
            self._save()
        # After the checkpoint: what it holds and the log lacks is logged when the run resumes.
        self._log.add(metrics, state.epoch)
        self._progress.epoch(state.epoch, metrics)
        self._stop_if_asked(saved=due)

    def finish(self) -> None:
        """Logs what is still pending and gives the model the weights that are evaluated.

        Raises:
            UserError: The log still refuses metrics.
            OSError: It still cannot be written.
        """
        self._log.flush()
        if self.state.best_weights:
            self._net.set_weights(self.state.best_weights)
        else:
            self._averaging.finish(self.state)

    def _run_steps(self) -> None:
        state = self.state
        if not state.step:
            # A schedule has moved on by the epoch's end; the rate in use is the one now.
            state.rate, state.seconds, state.trained = self._rate(), 0.0, {}
            state.starting = state.waited = 0.0
        self._wait = DataWait()
        batches = self._train.dataset(state.epoch, state.step)
        self._start = time.perf_counter()
        self._net.fit(
            self._wait.measure(batches) if self._measures_wait else batches,
            initial_epoch=state.epoch,
            epochs=state.epoch + 1,
            steps_per_epoch=self._train.steps - state.step,
            callbacks=[self],
            verbose=0,
            shuffle=False,
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Restores the running metrics of a resumed epoch, which Keras has just reset."""
        if self._running is not None and self.state.step:
            restore_metrics(self._net, self._running)
        self._running = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step, reports progress, writes a checkpoint where one is due."""
        state, logs = self.state, logs or {}
        state.step += 1
        metrics = {"train/loss": float(logs["loss"]), "train/accuracy": float(logs["accuracy"])}
        self._progress.step(state.epoch + 1, state.step, *metrics.values())
        if state.step == self._train.steps:
            state.trained = metrics
        every = self._spec.checkpoint.every_steps
        due = every is not None and state.step % every == 0
        if due:
            self._save()
        self._stop_if_asked(saved=due)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops the clock of training; keeps the weights that Keras is about to average."""
        self._stop_clock()
        self._averaging.keep_raw()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Takes the logits; stops if asked to, and a resumed run repeats the validation."""
        if self._score and logs:
            self._logits.append(np.asarray(logs["logits"]))
        if self._signals.received is not None:
            self._averaging.restore_raw()
            self._stop_if_asked(saved=False)

    def _decide(self, metrics: Mapping[str, float]) -> None:
        """Ends the epoch: history, best epoch, learning rate, end of training."""
        state, spec = self.state, self._spec
        self._averaging.commit(state)
        state.epoch, state.step, state.trained = state.epoch + 1, 0, {}
        for name, value in metrics.items():
            state.history.setdefault(name, []).append(value)

        def update(best: monitors.Best, name: str, min_delta: float) -> bool:
            return best.update(metrics[name], self._directions[name], state.epoch, min_delta)

        stopping = spec.early_stopping
        is_best = update(state.stopping, stopping.monitor, stopping.min_delta)
        if is_best and spec.keep == "best":
            state.best_weights = self._net.get_weights()  # the averaged ones, if any are
        state.is_over = monitors.is_over(stopping, state.stopping)
        self._averaging.restore_raw()
        if spec.schedule == "plateau":
            update(state.plateau, spec.plateau.monitor, monitors.PLATEAU_MIN_DELTA)
            self._net.optimizer.learning_rate = monitors.lowered_rate(
                spec.plateau, state.plateau, self._rate()
            )

    def _save(self) -> None:
        """Writes a checkpoint; on a full disk training continues without."""
        state = self.state
        if state.step:
            self._stop_clock()
        arrays = to_arrays(self._net, state)  # in every worker: reading a metric sums over all
        if self._store is None:
            return
        try:
            best = (state.stopping.epoch, 0)
            self._store.save(state.position, arrays, state.to_json(), best=best)
        except OSError as error:
            if self._can_save:  # warn once, and again only after one could be written
                self._progress.warn(
                    f"the checkpoint of epoch {state.epoch} cannot be written ({error}); training "
                    "continues and earlier checkpoints are kept"
                )
            self._can_save = False
        else:
            self._can_save = True

    def _stop_if_asked(self, saved: bool) -> None:
        if self._signals.received is not None:
            if not saved:
                self._save()
            self._signals.raise_if_received()

    def _stop_clock(self) -> None:
        now = time.perf_counter()
        self.state.seconds += now - self._start
        self._start = now
        self.state.starting += self._wait.first
        self.state.waited += self._wait.later
        self._wait.first = self._wait.later = 0.0

    @property
    def _measures_wait(self) -> bool:
        """Several replicas are fed by threads of their own, whose wait is not the model's."""
        return self._net.distribute_strategy.num_replicas_in_sync == 1

    def _wait_metrics(self) -> dict[str, float]:
        """Returns the share of an epoch's training time spent waiting for batches."""
        if not self._measures_wait:
            return {}
        return {
            "data/wait_share": self.state.waited / max(self.state.seconds, 1e-9),
            "data/start_seconds": self.state.starting,
        }

    def _rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self._net.optimizer.learning_rate))

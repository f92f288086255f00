"""One epoch after another: Keras' `fit` runs the steps, the rest happens here, kept in `Course`."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from melanoma_exp.training import monitors
from melanoma_exp.training import state as course
from melanoma_exp.training.checkpoint import Saved, Store
from melanoma_exp.training.data_wait import Waits
from melanoma_exp.training.metric_log import Journal
from melanoma_exp.training.signals import Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import Course

if TYPE_CHECKING:
    from melanoma_exp.training.fit import Loader, Progress


class Loop(keras.callbacks.Callback):
    """The loop over epochs; as a callback of each `fit` it sees every step."""

    def __init__(
        self,
        model: keras.Model,
        spec: Train,
        train: "Loader",
        val: "Loader",
        progress: "Progress",
        log: Callable[[Mapping[str, float], int], None],
        store: Store,
        signals: Signals,
    ) -> None:
        super().__init__()
        self.course = Course()
        self._net, self._spec, self._train, self._val = model, spec, train, val
        self._progress, self._store, self._signals = progress, store, signals
        self._journal = Journal(log, progress)
        self._running: Mapping[str, np.ndarray] | None = None  # metrics of a continued epoch
        self._raw: list[np.ndarray] = []  # the weights behind averaged ones
        self._start = 0.0
        self._waits = Waits()
        self._is_saving = True  # the last checkpoint could be written

    @property
    def is_over(self) -> bool:
        """Whether all epochs are done or training was ended early."""
        return self.course.is_over or self.course.epoch >= self._spec.epochs

    def restore(self, saved: Saved) -> None:
        """Goes on from a checkpoint."""
        self.course = Course.from_state(saved.state, saved.arrays)
        course.restore(self._net, saved.arrays)
        self._running = saved.arrays
        # Keras makes its running metrics at the first batch it meets; testing changes nothing else.
        self._net.test_on_batch(*next(iter(self._val.dataset())))
        for epoch in range(1, self.course.epoch + 1):  # those logged already are passed over
            figures = {name: values[epoch - 1] for name, values in self.course.history.items()}
            self._journal.add(figures, epoch)

    def run_epoch(self) -> None:
        """Trains what is left of an epoch, validates, decides and writes a checkpoint."""
        state, spec = self.course, self._spec
        self._start = time.perf_counter()  # where only the validation is left, too
        if state.step < self._train.steps:
            self._run_steps()
        elif spec.ema is not None:
            self._average()
        val = self._net.evaluate(self._val.dataset(), callbacks=[self], verbose=0, return_dict=True)
        figures = {
            **state.trained,
            "val/loss": float(val["loss"]),
            "val/accuracy": float(val["accuracy"]),
            "learning_rate": state.rate,
            "seconds": state.seconds + time.perf_counter() - self._start,
            "images_per_second": self._train.images / max(state.seconds, 1e-9),
            **self._waited(),
        }
        self._decide(figures)
        due = state.epoch % spec.checkpoint.every_epochs == 0 or self.is_over
        if due:
            self._save()
        # After the checkpoint: what is in it and not in the log is logged when the run goes on.
        self._journal.add(figures, state.epoch)
        self._progress.epoch(state.epoch, figures)
        self._stop_if_asked(saved=due)

    def finish(self) -> None:
        """Logs what could not be logged before; gives the model the weights that are evaluated.

        Raises:
            UserError: The log still refuses figures.
            OSError: It still cannot be written.
        """
        self._journal.finish()
        if self.course.best_weights:
            self._net.set_weights(self.course.best_weights)
        elif self._spec.ema is not None:
            self._average()

    def _run_steps(self) -> None:
        state = self.course
        if not state.step:
            # A schedule has moved on by the epoch's end; the rate that is used is the one now.
            state.rate, state.seconds, state.trained = self._rate(), 0.0, {}
            state.starting = state.waited = 0.0
        self._waits = Waits()
        batches = self._train.dataset(state.epoch, state.step)
        self._start = time.perf_counter()
        self._net.fit(
            self._waits.over(batches) if self._sees_batches else batches,
            initial_epoch=state.epoch,
            epochs=state.epoch + 1,
            steps_per_epoch=self._train.steps - state.step,
            callbacks=[self],
            verbose=0,
            shuffle=False,
        )

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Gives a continued epoch the running figures it had; Keras has just reset them."""
        if self._running is not None and self.course.step:
            course.restore_metrics(self._net, self._running)
        self._running = None

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Counts the step, tells the screen, writes a checkpoint where one is due."""
        state, logs = self.course, logs or {}
        state.step += 1
        figures = {"train/loss": float(logs["loss"]), "train/accuracy": float(logs["accuracy"])}
        self._progress.step(state.epoch + 1, state.step, *figures.values())
        if state.step == self._train.steps:
            state.trained = figures
        every = self._spec.checkpoint.every_steps
        due = every is not None and state.step % every == 0
        if due:
            self._save()
        self._stop_if_asked(saved=due)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops the clock of training; keeps the weights that Keras is about to average."""
        self._stop_clock()
        if self._spec.ema is not None:
            self._raw = self._trainable()

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Stops within validation if asked to; it is repeated when the run goes on."""
        if self._signals.received is not None:
            self._put_raw_back()
            self._stop_if_asked(saved=False)

    def _decide(self, figures: Mapping[str, float]) -> None:
        """Ends the epoch: history, best epoch, learning rate, end of training."""
        state, spec = self.course, self._spec
        state.epoch, state.step, state.trained = state.epoch + 1, 0, {}
        for name, value in figures.items():
            state.history.setdefault(name, []).append(value)
        stopping = spec.early_stopping
        is_best = state.stopping.update(stopping.monitor, figures, state.epoch, stopping.min_delta)
        if is_best and spec.keep == "best":
            state.best_weights = self._net.get_weights()  # with `ema` the averaged ones
        state.is_over = monitors.is_over(stopping, state.stopping)
        self._put_raw_back()
        if spec.schedule == "plateau":
            monitor = spec.plateau.monitor
            state.plateau.update(monitor, figures, state.epoch, monitors.PLATEAU_MIN_DELTA)
            self._net.optimizer.learning_rate = monitors.lowered_rate(
                spec.plateau, state.plateau, self._rate()
            )

    def _save(self) -> None:
        """Writes a checkpoint; without room for one training goes on."""
        state = self.course
        if state.step:
            self._stop_clock()
        try:
            self._store.save(
                state.position,
                course.collect(self._net, state),
                state.state(),
                best=(state.stopping.epoch, 0),
            )
        except OSError as error:
            if self._is_saving:  # told once, and again only if one could be written in between
                self._progress.warn(
                    f"the checkpoint of epoch {state.epoch} cannot be written ({error}); training "
                    "goes on and earlier checkpoints are kept"
                )
            self._is_saving = False
        else:
            self._is_saving = True

    def _stop_if_asked(self, saved: bool) -> None:
        if self._signals.received is not None:
            if not saved:
                self._save()
            self._signals.raise_if_received()

    def _stop_clock(self) -> None:
        now = time.perf_counter()
        self.course.seconds += now - self._start
        self._start = now
        self.course.starting += self._waits.starting
        self.course.waited += self._waits.later
        self._waits.starting = self._waits.later = 0.0

    @property
    def _sees_batches(self) -> bool:
        """Several replicas are fed by threads of their own, whose waiting is not the model's."""
        return self._net.distribute_strategy.num_replicas_in_sync == 1

    def _waited(self) -> dict[str, float]:
        """Returns what share of an epoch's steps was spent waiting for batches."""
        if not self._sees_batches:
            return {}
        return {
            "data/wait_share": self.course.waited / max(self.course.seconds, 1e-9),
            "data/start_seconds": self.course.starting,
        }

    def _rate(self) -> float:
        return float(keras.ops.convert_to_numpy(self._net.optimizer.learning_rate))

    def _trainable(self) -> list[np.ndarray]:
        return [np.array(keras.ops.convert_to_numpy(v)) for v in self._net.trainable_variables]

    def _average(self) -> None:
        self._raw = self._trainable()
        self._net.optimizer.finalize_variable_values(self._net.trainable_variables)

    def _put_raw_back(self) -> None:
        """Undoes averaging: the next step goes on from the weights of the last one."""
        for variable, value in zip(
            self._net.trainable_variables, self._raw, strict=bool(self._raw)
        ):
            variable.assign(value)
        self._raw = []

"""Which weights a model has while it is validated and when training ends."""

from typing import Any

import keras
import numpy as np

from melanoma_exp.training.averaging import batch_norm
from melanoma_exp.training.interfaces import Loader
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import TrainingState

Values = list[np.ndarray]


class Averaging:
    """Puts averaged weights into a model for evaluation and takes them out again.

    `ema` is computed by the optimizer, `swa` here: the mean over the last weights of each epoch,
    Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018.
    """

    def __init__(self, model: keras.Model, spec: Train, train: Loader) -> None:
        """Prepares.

        Args:
            model: Compiled.
            spec: The options.
            train: Gives the images for which statistics of batch normalisation are computed.
        """
        self._model, self._spec, self._train = model, spec, train
        self._raw: Values = []  # all variables, while the model has averaged weights
        self._mean: Values = []

    def keep_raw(self) -> None:
        """Remembers the weights of the last step; Keras puts `ema` in at the end of `fit`."""
        if self._spec.ema is not None or self._spec.swa is not None:
            self._raw = _values(self._model.variables)

    def apply(self, state: TrainingState) -> None:
        """Puts the averaged weights in, for the validation of the epoch that is not over yet."""
        if not self._raw:
            self.keep_raw()
        self._put_moving(state.epoch)
        swa = self._spec.swa
        if swa is not None and state.epoch + 1 >= swa.from_epoch:
            new, count = _values(self._averaged), state.swa_epochs
            old = state.swa_weights or new
            self._mean = [m + (w - m) / (count + 1) for m, w in zip(old, new, strict=True)]
            self._put_mean(self._mean, state.epoch)

    def restore_raw(self) -> None:
        """Takes them out: the next step starts from the weights of the last one."""
        _assign(self._model.variables if self._raw else [], self._raw)
        self._raw = []

    def commit(self, state: TrainingState) -> None:
        """Takes the epoch into the mean, once it is certain that it is over."""
        if self._mean:
            state.swa_weights, self._mean = self._mean, []
            state.swa_epochs += 1

    def finish(self, state: TrainingState) -> None:
        """Puts the averaged weights in for good; all epochs are over."""
        self._put_moving(state.epoch - 1)
        if state.swa_weights:
            self._put_mean(state.swa_weights, state.epoch - 1)

    def _put_moving(self, epoch: int) -> None:
        if self._spec.ema is None:
            return
        self._model.optimizer.finalize_variable_values(self._model.trainable_variables)
        if self._spec.ema_bn_batches is not None:
            self._estimate(epoch, self._spec.ema_bn_batches)

    def _put_mean(self, mean: Values, epoch: int) -> None:
        assert self._spec.swa is not None
        _assign(self._averaged, mean)
        self._estimate(epoch, self._spec.swa.bn_batches)

    def _estimate(self, epoch: int, batches: int) -> None:
        batch_norm.estimate(self._model, self._train.dataset(epoch).take(batches))

    @property
    def _averaged(self) -> list[Any]:
        """All weights but the statistics of batch normalisation, which belong to other weights."""
        own = {id(v) for v in batch_norm.statistics(self._model)}
        return [v for v in self._model.weights if id(v) not in own]


def _values(variables: list[Any]) -> Values:
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[Any], values: Values) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)

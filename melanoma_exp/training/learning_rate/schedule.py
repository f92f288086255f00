"""The learning rate as a pure function of the step, so that a resumed run has the same."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from melanoma_exp.training.spec import Train


def schedule_from(spec: Train, steps: int, first: int) -> Any:
    """Returns what `schedule` does, for an optimizer whose first step is a later one of training.

    Args:
        spec: The options.
        steps: Steps an epoch.
        first: Steps that other optimizers have done.
    """
    rate = schedule(spec, steps)
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    return Shifted(rate, first) if first and is_schedule else rate


def schedule(spec: Train, steps: int) -> Any:
    """Returns what an optimizer takes: a schedule, or the rate that it starts with.

    Args:
        spec: The options.
        steps: Steps an epoch.
    """
    warmup, total = round(spec.warmup_epochs * steps), spec.epochs * steps
    if spec.schedule == "cosine":
        return keras.optimizers.schedules.CosineDecay(
            initial_learning_rate=0.0 if warmup else spec.learning_rate,
            decay_steps=total - warmup,
            alpha=spec.final_fraction,
            warmup_target=spec.learning_rate if warmup else None,
            warmup_steps=warmup,
        )
    if spec.schedule == "plateau" or (spec.schedule == "constant" and not warmup):
        return spec.learning_rate
    kind = {"constant": Schedule, "linear": Linear, "cosine_restarts": Restarts}
    return kind.get(spec.schedule, OneCycle)(spec, steps)


class Shifted(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule that begins at a later step."""

    def __init__(self, schedule: Any, first: int) -> None:
        self._inner, self._skipped = schedule, first

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step that counts from 0."""
        return self._inner(step + self._skipped)

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: an optimizer is never made again from its config."""
        return {}


class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """A linear rise from 0 to the peak, then the peak times a factor."""

    def __init__(self, spec: Train, steps: int) -> None:
        self._spec, self._steps = spec, steps
        self._warmup = round(spec.warmup_epochs * steps)
        self._after = spec.epochs * steps - self._warmup

    def __call__(self, step: Any) -> Any:
        """Returns the rate of a step that counts from 0, float32."""
        step = ops.cast(step, "float32")
        rising = step / max(self._warmup, 1)
        later = self.factor(ops.clip(step - self._warmup, 0, self._after))
        return self._spec.learning_rate * ops.where(step < self._warmup, rising, later)

    def factor(self, step: Any) -> Any:
        """Returns the rate of a step after the warm-up, in units of the peak."""
        return ops.ones_like(step)

    def get_config(self) -> dict[str, Any]:
        """Returns nothing: an optimizer is never made again from its config."""
        return {}


class Linear(Schedule):
    """Falls to the final fraction along a line."""

    def factor(self, step: Any) -> Any:
        """Returns the rate of a step after the warm-up, in units of the peak."""
        return 1 - (1 - self._spec.final_fraction) * step / self._after


class Restarts(Schedule):
    """Falls along a cosine again and again, over periods of growing length.

    Loshchilov and Hutter, SGDR: Stochastic Gradient Descent with Warm Restarts, ICLR 2017.
    """

    def factor(self, step: Any) -> Any:
        """Returns the rate of a step after the warm-up, in units of the peak."""
        restarts = self._spec.restarts
        starts, lengths = [0.0], [restarts.first_epochs * self._steps]
        while starts[-1] + lengths[-1] <= self._after:
            starts.append(starts[-1] + lengths[-1])
            lengths.append(lengths[-1] * restarts.factor)
        period = ops.sum(ops.cast(step >= np.array(starts, np.float32), "int32")) - 1
        start = ops.take(np.array(starts, np.float32), period)
        length = ops.take(np.array(lengths, np.float32), period)
        return _cosine(1, self._spec.final_fraction, (step - start) / length)


class OneCycle(Schedule):
    """Rises along half a cosine, then falls along another one.

    Smith and Topin, Super-Convergence, 2018; with the cosines of fast.ai. The momentum stays.
    """

    def factor(self, step: Any) -> Any:
        """Returns the rate of a step, in units of the peak."""
        cycle, at = self._spec.one_cycle, step / self._after
        rise = _cosine(cycle.start_fraction, 1, at / cycle.rise)
        fall = _cosine(1, self._spec.final_fraction, (at - cycle.rise) / (1 - cycle.rise))
        return ops.where(at < cycle.rise, rise, fall)


def _cosine(start: float, end: float, at: Any) -> Any:
    """Goes from `start` to `end` along half a cosine while `at` goes from 0 to 1."""
    return end + (start - end) * 0.5 * (1 + ops.cos(math.pi * at))

"""What follows from the metrics of an epoch: a lower learning rate, early stopping, the best epoch.

The rules are those of Keras' ReduceLROnPlateau and EarlyStopping. They are written out here because
their state must be part of a checkpoint, which those callbacks do not offer.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from melanoma_exp.training.spec import EarlyStopping, Plateau

if TYPE_CHECKING:
    import keras

PLATEAU_MIN_DELTA = 1e-4  # Keras' default, which every published system used
BUILT_IN = {"val/loss": False, "val/accuracy": True}  # of Keras' own validation: is higher better?


def in_json(value: float) -> float | str:
    """Returns a number as JSON holds it: one that is not finite as a name, which `float` reads."""
    return value if math.isfinite(value) else str(value)


class Scorer(Protocol):
    """Computes monitored metrics that Keras' own validation does not give."""

    names: tuple[str, ...]  # of those metrics
    directions: Mapping[str, bool]  # of every metric that can be monitored: is higher better?

    def __call__(self, logits: np.ndarray) -> Mapping[str, float]:
        """Returns the value of each of `names`.

        Args:
            logits: float (n, c), of the n validation rows in order.
        """


@dataclass
class Best:
    """The best value of a monitored metric so far, and how long ago that was.

    Attributes:
        value: NaN before the first epoch.
        epoch: The epoch that reached it, from 1; 0 before the first.
        wait: Epochs since.
    """

    value: float = math.nan
    epoch: int = 0
    wait: int = 0

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Returns what `state` gave."""
        value = state["value"]
        return cls(math.nan if value is None else float(value), state["epoch"], state["wait"])

    def state(self) -> dict[str, Any]:
        """Returns JSON content."""
        return {**asdict(self), "value": None if math.isnan(self.value) else in_json(self.value)}

    def update(self, value: float, higher_is_better: bool, epoch: int, min_delta: float) -> bool:
        """Takes an epoch's value and returns whether it is the best so far.

        Args:
            value: Of the monitored metric; NaN is never better.
            higher_is_better: Its direction.
            epoch: From 1.
            min_delta: By how much it must beat the best.
        """
        gain = value - self.value if higher_is_better else self.value - value
        better = not math.isnan(value) and (math.isnan(self.value) or gain > min_delta)
        if better:
            self.value, self.epoch, self.wait = value, epoch, 0
        else:
            self.wait += 1
        return better


def lowered_rate(spec: Plateau, best: Best, rate: float) -> float:
    """Returns the learning rate after an epoch that `best` includes already."""
    if best.wait < spec.patience or rate <= np.float32(spec.min_learning_rate):
        return rate
    best.wait = 0
    return max(rate * spec.factor, spec.min_learning_rate)


def is_over(spec: EarlyStopping, best: Best) -> bool:
    """Whether training ends after an epoch that `best` includes already."""
    return spec.patience is not None and best.wait >= spec.patience


def return_logits(model: "keras.Model") -> None:
    """Has each step of `evaluate` return its batch's logits beside the metrics, in place.

    The metrics stay those of Keras' own step, to the last bit; there is one forward pass.

    Args:
        model: Compiled, before its first `evaluate`.
    """
    if hasattr(model, "returns_logits"):  # of several replicas, whose steps gather them
        model.returns_logits = True
    else:
        model.test_step = partial(_test_step, model)


def _test_step(model: "keras.Model", data: Any) -> dict[str, Any]:
    import keras
    import tensorflow as tf

    images, targets, weights = keras.utils.unpack_x_y_sample_weight(data)
    logits = model(images, training=False)
    loss = model.compute_loss(images, targets, logits, weights, training=False)
    model.metrics[0].update_state(loss, sample_weight=tf.shape(images)[0])  # the mean loss
    metrics = model.compute_metrics(images, targets, logits, sample_weight=weights)
    return {**metrics, "logits": logits}

"""The range test of learning rates: Smith, Cyclical Learning Rates, WACV 2017."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from melanoma_exp.training.interfaces import Loader

if TYPE_CHECKING:
    import keras

SMOOTHING = 0.9  # share of the past in the smoothed loss, whose start-up bias is corrected
DIVERGED = 4.0  # times the lowest smoothed loss, beyond which the test ends
EDGE = 0.1  # share of the steps at the start in which nothing is suggested


@dataclass(frozen=True)
class Found:
    """What a range test saw.

    Attributes:
        rates: float64 (n,), rising by a constant factor.
        losses: float64 (n,), of each step's batch.
        smoothed: float64 (n,), their moving average.
    """

    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray

    @property
    def steepest(self) -> float:
        """The rate at which the smoothed loss falls fastest along the logarithm of the rate."""
        first = round(EDGE * len(self.rates))
        slope = np.gradient(self.smoothed, np.log(self.rates))
        return float(self.rates[first + np.argmin(slope[first:])])

    @property
    def tenth(self) -> float:
        """A tenth of the rate at which the smoothed loss is lowest."""
        return float(self.rates[np.argmin(self.smoothed)] / 10)


def smooth(losses: np.ndarray) -> np.ndarray:
    """Returns the moving average of losses, float64 (n,), without a start-up bias."""
    averages, average = [], 0.0
    for k, loss in enumerate(losses, 1):
        average = SMOOTHING * average + (1 - SMOOTHING) * loss
        averages.append(average / (1 - SMOOTHING**k))
    return np.array(averages)


def find(model: "keras.Model", train: Loader, steps: int, low: float, high: float) -> Found:
    """Trains with a rate that rises exponentially, until the loss diverges or it is over.

    Args:
        model: Compiled with a constant rate; its weights change.
        train: The training batches, from the first epoch on.
        steps: At most.
        low: The first rate.
        high: The last one.
    """
    rates, losses = np.geomspace(low, high, steps), np.empty(0)
    for rate, batch in zip(rates, _batches(train), strict=False):
        model.optimizer.learning_rate = rate
        model.reset_metrics()
        loss = float(model.train_on_batch(*batch, return_dict=True)["loss"])
        if not np.isfinite(loss):
            break
        losses = np.append(losses, loss)
        smoothed = smooth(losses)
        if smoothed[-1] > DIVERGED * smoothed.min():
            break
    return Found(rates[: len(losses)], losses, smooth(losses))


def _batches(train: Loader) -> Iterator[Any]:
    epoch = 0
    while True:
        yield from train.dataset(epoch)
        epoch += 1

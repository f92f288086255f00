"""What an epoch's figures decide: a lower learning rate, an end, the best epoch.

The rules are those of Keras' ReduceLROnPlateau and EarlyStopping. They are written out here because
their state must survive in a checkpoint, which those callbacks do not offer.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np

from melanoma_exp.training.spec import EarlyStopping, Plateau

PLATEAU_MIN_DELTA = 1e-4  # Keras' default, which every published system used
SERIES = {"val_loss": "val/loss", "val_accuracy": "val/accuracy"}


@dataclass
class Best:
    """The best value of a monitored figure so far, and how long ago that was.

    Attributes:
        value: NaN before the first epoch.
        epoch: In which it was seen, from 1; 0 before the first.
        wait: Epochs since.
    """

    value: float = math.nan
    epoch: int = 0
    wait: int = 0

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Returns what `state` gave."""
        value = state["value"]
        return cls(math.nan if value is None else value, state["epoch"], state["wait"])

    def state(self) -> dict[str, Any]:
        """Returns JSON content."""
        return {**asdict(self), "value": None if math.isnan(self.value) else self.value}

    def update(self, monitor: str, figures: Mapping[str, float], epoch: int, delta: float) -> bool:
        """Takes an epoch's figures and returns whether the monitored one is the best so far.

        Args:
            monitor: `val_loss` (the less the better) or `val_accuracy`.
            figures: Of the epoch.
            epoch: Its number from 1.
            delta: By how much it must be better than the best.
        """
        value = figures[SERIES[monitor]]
        gain = self.value - value if monitor == "val_loss" else value - self.value
        better = not math.isnan(value) and (math.isnan(self.value) or gain > delta)
        if better:
            self.value, self.epoch, self.wait = value, epoch, 0
        else:
            self.wait += 1
        return better


def lowered_rate(spec: Plateau, best: Best, rate: float) -> float:
    """Returns the learning rate after an epoch that `best` has already taken in."""
    if best.wait < spec.patience or rate <= np.float32(spec.min_learning_rate):
        return rate
    best.wait = 0
    return max(rate * spec.factor, spec.min_learning_rate)


def is_over(spec: EarlyStopping, best: Best) -> bool:
    """Whether training ends after an epoch that `best` has already taken in."""
    return spec.patience is not None and best.wait >= spec.patience

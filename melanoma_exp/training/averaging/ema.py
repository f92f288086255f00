"""A moving average of the weights that forgets the first ones faster."""

from typing import TYPE_CHECKING, Any

import keras
from keras import ops

_Optimizer: Any = keras.optimizers.Optimizer if TYPE_CHECKING else object


class WarmedUp(_Optimizer):
    """A mixin for optimizers: the momentum of the average is min(m, (1 + t) / (10 + t)) at step t.

    As in TensorFlow's ExponentialMovingAverage. Without it an average of momentum 0.995 still has
    a share of 0.37 of the first step's weights after 200 steps.
    """

    @property
    def ema_momentum(self) -> Any:
        """The momentum of the step that is being done, t from 0."""
        step = ops.cast(self.iterations, "float32")
        return ops.minimum(self._highest, (1 + step) / (10 + step))

    @ema_momentum.setter
    def ema_momentum(self, value: float) -> None:
        self._highest = value


def warmed_up(optimizer: type[keras.optimizers.Optimizer]) -> type[keras.optimizers.Optimizer]:
    """Returns a subclass whose moving average warms up."""
    return type(optimizer.__name__, (WarmedUp, optimizer), {})

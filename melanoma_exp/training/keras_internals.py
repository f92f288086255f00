"""Every use of private attributes of Keras; no other module has one.

Tried with Keras 3.13.2 to 3.15.1, which pyproject.toml allows. Layers of a built model are replaced
by giving them another class: their names, weights and seeds stay as they are, which a rebuilt model
would have to copy. `tests/training/test_keras_internals.py` says when each of these can go.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras

# Mixins before Keras' classes, which mypy should see as the classes they extend.
_Model: Any = keras.Model if TYPE_CHECKING else object
_Adam: Any = keras.optimizers.Adam if TYPE_CHECKING else object
_Optimizer: Any = keras.optimizers.Optimizer if TYPE_CHECKING else object


def all_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """Yields the model and all layers below it, also those within other layers."""
    yield from model._flatten_layers()


def change_class(layer: keras.layers.Layer, cls: type) -> None:
    """Turns a layer or model into one of a subclass of its class, in place."""
    layer.__class__ = cls


def only_producer(layer: keras.layers.Layer) -> keras.layers.Layer | None:
    """Returns the layer whose output goes to this one and nowhere else, None without such."""
    if len(layer._inbound_nodes) != 1:
        return None
    producer = layer.input._keras_history.operation
    alone = len(producer._inbound_nodes) == len(producer._outbound_nodes) == 1
    return producer if alone else None


def output_in(model: keras.Model, name: str) -> Any:
    """Returns the output of a layer or operation in the graph of a model.

    Its `output` may be that of another graph: a nested model's is of its own, and copies of a model
    share operations that are no layers.
    """
    graph = keras.Model(model.inputs, model.outputs)
    nodes = (node for same_depth in graph._nodes_by_depth.values() for node in same_depth)
    return next(node.output_tensors[0] for node in nodes if node.operation.name == name)


class AdamState(_Adam):
    """An Adam optimizer that gives access to its moments."""

    def moments(self, variable: Any) -> tuple[Any, Any]:
        """Returns the first and second moment of a variable."""
        index = self._get_variable_index(variable)
        return self._momentums[index], self._velocities[index]


class BatchNormalization(keras.layers.BatchNormalization):
    """Batch normalisation whose statistics a subclass computes."""

    def batch_moments(self, inputs: Any, mask: Any) -> tuple[Any, Any]:
        """Returns mean and variance of a training batch, float (channels,)."""
        return super()._moments(inputs, mask)

    def _moments(self, inputs: Any, mask: Any) -> Any:
        return self.batch_moments(inputs, mask)


class PrebuiltModel(_Model):
    """A mixin for models that `build_metrics` has built: Keras builds nothing with a batch."""

    def _maybe_symbolic_build(self, iterator: Any = None, data_batch: Any = None) -> None:
        """Does nothing."""


def build_metrics(model: keras.Model, batch: tuple[Any, Any, Any]) -> None:
    """Creates the variables of metrics and optimizer, which Keras does with the first batch."""
    model._symbolic_build(data_batch=batch)


def skip_gradient_reduction(optimizer: keras.optimizers.Optimizer) -> None:
    """Makes an optimizer apply gradients as they are: they are summed over replicas already."""
    optimizer._all_reduce_sum_gradients = lambda pairs: pairs


class _ScaledRates(_Optimizer):
    """An optimizer that multiplies the learning rate of each variable by a factor of its own.

    Decoupled weight decay, which is proportional to the rate, is multiplied too.
    """

    rate_scales: Sequence[float]  # in the order of the trained variables
    _decay_scale = 1.0

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Applies a gradient to a variable."""
        scale = self.rate_scales[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * scale)

    def _apply_weight_decay(self, variables: Any) -> None:
        for scale in sorted(set(self.rate_scales)):
            self._decay_scale = scale
            super()._apply_weight_decay(
                [v for v in variables if self.rate_scales[self._get_variable_index(v)] == scale]
            )
        self._decay_scale = 1.0

    def _get_current_learning_rate(self) -> Any:
        rate = super()._get_current_learning_rate()
        return rate if self._decay_scale == 1 else rate * self._decay_scale


def scale_rates(optimizer: keras.optimizers.Optimizer, scales: Sequence[float]) -> None:
    """Makes an optimizer multiply the rate of each trained variable by a factor, in place.

    Args:
        optimizer: Not built yet.
        scales: In the order of the variables that it will be built for.
    """
    cls = type(optimizer)
    optimizer.__class__ = type(cls.__name__, (_ScaledRates, cls), {})
    optimizer.rate_scales = tuple(scales)

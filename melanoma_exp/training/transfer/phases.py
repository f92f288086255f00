"""Fine-tuning in phases: which layers are trained in an epoch, and at which rate.

The phase of an epoch follows from the options and the epoch alone. Each phase begins with a fresh
optimizer: the moments of Adam are corrected for their start at zero by the number of steps, so
layers that join an optimizer of many steps would make steps up to seven times too large. The
learning-rate schedule goes on with the step of the whole training.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import keras

from melanoma_exp.models.base import Model
from melanoma_exp.models.metadata_branch import WEIGHTED, is_joined
from melanoma_exp.spec import UserError
from melanoma_exp.training import keras_internals
from melanoma_exp.training.interfaces import EnterPhase
from melanoma_exp.training.spec import Train

Stages = Sequence[Sequence[str]]  # names of layers, from the input to the head


class Compile(Protocol):
    """Compiles a model with a fresh optimizer."""

    def __call__(
        self, *, first: int = 0, adjust: Callable[[keras.optimizers.Optimizer], None] | None = None
    ) -> None:
        """Compiles it.

        Args:
            first: Steps of training that other optimizers have done.
            adjust: Changes the optimizer before it is used.
        """


def begin(
    model: keras.Model,
    spec: Train,
    network: Model,
    steps: int,
    compile_with: Compile,
) -> EnterPhase:
    """Compiles a model for its first epoch, and returns what sets those that follow.

    Args:
        model: What is trained.
        spec: The options; without `fine_tuning` all epochs are alike.
        network: Names the stages of the model.
        steps: Steps an epoch.
        compile_with: Compiles the model with a fresh optimizer.

    Raises:
        UserError: The model has fewer stages than the options name.
    """
    if spec.fine_tuning is None:
        compile_with()
        return lambda epoch: None
    return Phases(model, spec, network, steps, compile_with).enter


class Phases:
    """Brings a model into the phase of an epoch."""

    def __init__(
        self,
        model: keras.Model,
        spec: Train,
        network: Model,
        steps: int,
        compile_with: Compile,
    ) -> None:
        """Compiles the model for the first epoch; arguments and errors as of `begin`."""
        assert spec.fine_tuning is not None
        logging.getLogger("tensorflow").addFilter(_is_no_retracing)
        self._model, self._spec, self._steps = model, spec.fine_tuning, steps
        self._keeps_rate = spec.schedule == "plateau"
        self._compile, self._stages = compile_with, stages_of(model, network)
        if (self._spec.trainable_stages or 0) >= len(self._stages):
            raise UserError(
                f"train.fine_tuning.trainable_stages={self._spec.trainable_stages}: model "
                f"{network.name} has {len(self._stages) - 1} stages before its head"
            )
        self._trained = 0  # stages; none before the first phase
        self.enter(0)

    def enter(self, epoch: int) -> None:
        """Sets what is trained in an epoch, from 0; compiles where that differs from before."""
        spec, model, stages = self._spec, self._model, self._stages
        trained = spec.trained(epoch, len(stages))
        if trained == self._trained:
            return
        rate = None
        if self._keeps_rate and self._trained:
            rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        self._trained = trained
        set_trainable(model, stages, trained, spec.freeze_norm)
        first, adjust = spec.begin(epoch, len(stages)) * self._steps, None
        if spec.layer_decay != 1:
            scales = rate_scales(model, stages, spec.layer_decay)
            adjust = partial(keras_internals.scale_rates, scales=scales)
        with model.distribute_strategy.scope():
            self._compile(first=first, adjust=adjust)
        if rate is not None:
            model.optimizer.learning_rate = rate


def stages_of(model: keras.Model, network: Model) -> list[list[str]]:
    """Returns the names of the layers with weights by depth; the head is last.

    Raises:
        UserError: The network's `stages` leave out a layer.
    """
    stages = [list(stage) for stage in network.stages(model)]
    if is_joined(model):  # the branch of the metadata is trained with the head
        stages = [[name for name in stage if name not in WEIGHTED] for stage in stages]
        stages = [stage for stage in stages if stage]
        stages[-1] += WEIGHTED
    named = {name for stage in stages for name in stage}
    if missing := [
        layer.name for layer in model.layers if layer.weights and layer.name not in named
    ]:
        raise UserError(f"model {network.name}: stages() leaves out the layer {missing[0]}")
    return stages


def set_trainable(model: keras.Model, stages: Stages, trained: int, freeze_norm: bool) -> None:
    """Freezes all stages but the last ones.

    A frozen layer keeps its weights, and a frozen batch norm normalises by its moving statistics.

    Args:
        model: Has the layers.
        stages: From input to head.
        trained: How many of the last ones are trained, the head among them.
        freeze_norm: Whether batch norm before the head is frozen everywhere.
    """
    for k, stage in enumerate(stages):
        for name in stage:
            layer = model.get_layer(name)
            layer.trainable = k >= len(stages) - trained
            if freeze_norm and k < len(stages) - 1:
                for inner in keras_internals.all_layers(layer):
                    if isinstance(inner, keras.layers.BatchNormalization):
                        inner.trainable = False


def rate_scales(model: keras.Model, stages: Stages, decay: float) -> list[float]:
    """Returns what the learning rate of each trained weight is multiplied by.

    It is decay**depth, where the head has the depth 0 (Clark et al., ELECTRA, ICLR 2020; Bao et
    al., BEiT, ICLR 2022).

    Args:
        model: With its phase set.
        stages: From input to head.
        decay: Per stage.
    """
    scale: dict[int, float] = {}
    for depth, stage in enumerate(reversed(stages)):
        for name in stage:
            for weight in model.get_layer(name).weights:
                scale[id(weight)] = decay**depth
    return [scale[id(weight)] for weight in model.trainable_weights]


def _is_no_retracing(record: logging.LogRecord) -> bool:
    """Each phase compiles anew, which TensorFlow takes for a mistake and warns of at length."""
    return "tf.function retracing" not in record.getMessage()

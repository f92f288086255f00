"""Optimizer, learning-rate schedule, loss and accuracy from the training spec.

Targets are class indices, int (b,), or shares of the classes, float32 (b, classes).
"""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from melanoma_exp.training import fused, losses
from melanoma_exp.training.averaging import ema
from melanoma_exp.training.learning_rate.schedule import schedule_from
from melanoma_exp.training.losses import ClassFrequencies, is_soft
from melanoma_exp.training.spec import Train

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FUSED = {"adam": fused.Adam, "adamw": fused.AdamW}
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}


def compile_model(
    model: keras.Model,
    spec: Train,
    steps: int,
    classes: ClassFrequencies,
    first: int = 0,
    adjust: Callable[[keras.optimizers.Optimizer], None] | None = None,
) -> None:
    """Gives the model its optimizer, loss and metric; with `fused`, layers that train faster.

    Args:
        model: Gives logits (b, classes).
        spec: The options.
        steps: Steps an epoch, the unit of schedules.
        classes: How frequent each class is in training.
        first: Steps of training that other optimizers have done; schedules go on from there.
        adjust: Changes the optimizer before it is used.
    """
    if spec.fused:
        fused.fuse(model)
    optimizer = make_optimizer(spec, steps, first)
    if adjust is not None:
        adjust(optimizer)
    if spec.weight_decay_on == "kernels":
        optimizer.exclude_from_weight_decay(var_list=list(filter(_is_vector, model.weights)))
    model.compile(
        optimizer=optimizer,
        loss=Loss(spec.loss, classes),
        metrics=[Accuracy(name="accuracy")],
        jit_compile=False,
    )


def make_optimizer(spec: Train, steps: int, first: int = 0) -> keras.optimizers.Optimizer:
    """Returns a fresh optimizer with its schedule.

    Args:
        spec: The options.
        steps: Steps an epoch.
        first: Steps of training that other optimizers have done.
    """
    options: dict[str, Any] = {
        "learning_rate": schedule_from(spec, steps, first),
        "global_clipnorm": spec.clip_norm,
        "use_ema": spec.ema is not None,
        "ema_momentum": spec.ema or 0.99,
    }
    if spec.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = spec.momentum
    if spec.optimizer in ("adamw", "sgd"):
        options["weight_decay"] = spec.weight_decay or (0.0 if spec.optimizer == "adamw" else None)
    kinds = {**OPTIMIZERS, **(FUSED if spec.fused else {})}
    kind = kinds[spec.optimizer]
    return (ema.warmed_up(kind) if spec.ema_warmup else kind)(**options)


class Loss(keras.losses.Loss):
    """A loss of the spec, averaged over the batch."""

    def __init__(self, spec: losses.Loss, classes: ClassFrequencies) -> None:
        super().__init__(name="loss")
        self._spec, self._classes = spec, classes

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        return self._spec.of_rows(y_true, y_pred, self._classes)


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of rows whose most probable class is the target's."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        labels = ops.argmax(y_true, axis=-1) if is_soft(y_true) else y_true
        super().update_state(labels, y_pred, sample_weight)


def _is_vector(variable: Any) -> bool:
    """Whether it is a bias, or a scale or shift such as those of normalisation."""
    return len(variable.shape) <= 1 or variable.name.endswith("bias")

"""Optimizer, learning-rate schedule, loss and accuracy from the training spec.

Targets are class indices, int (b,), or probabilities of the classes, float32 (b, classes), as a
batch step such as mixup gives them.
"""

from typing import Any

import keras
from keras import ops

from melanoma_exp.training import fused
from melanoma_exp.training.spec import Train

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
FUSED = {"adam": fused.Adam, "adamw": fused.AdamW}
OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "sgd": keras.optimizers.SGD,
    "rmsprop": keras.optimizers.RMSprop,
}


def compile_model(model: keras.Model, spec: Train, steps: int, classes: int) -> None:
    """Gives the model its optimizer, loss and metric; with `fused`, layers that train faster.

    Args:
        model: Gives logits (b, classes).
        spec: The options.
        steps: Steps an epoch, the unit of schedules.
        classes: Number of classes.
    """
    if spec.fused:
        fused.fuse(model)
    model.compile(
        optimizer=make_optimizer(spec, steps),
        loss=make_loss(spec, classes),
        metrics=[Accuracy(name="accuracy")],
        jit_compile=False,
    )


def make_optimizer(spec: Train, steps: int) -> keras.optimizers.Optimizer:
    """Returns a fresh optimizer with its schedule.

    Args:
        spec: The options.
        steps: Steps an epoch.
    """
    options: dict[str, Any] = {
        "learning_rate": _learning_rate(spec, steps),
        "global_clipnorm": spec.clip_norm,
        "use_ema": spec.ema is not None,
        "ema_momentum": spec.ema or 0.99,
    }
    if spec.optimizer in ("sgd", "rmsprop"):
        options["momentum"] = spec.momentum
    if spec.optimizer in ("adamw", "sgd"):
        options["weight_decay"] = spec.weight_decay or (0.0 if spec.optimizer == "adamw" else None)
    kinds = {**OPTIMIZERS, **(FUSED if spec.fused else {})}
    return kinds[spec.optimizer](**options)


def make_loss(spec: Train, classes: int) -> keras.losses.Loss:
    """Returns the loss of targets and logits (b, classes), averaged over the batch."""
    return Loss(classes, spec.focal_gamma, spec.label_smoothing)


class Loss(keras.losses.Loss):
    """Cross-entropy, with focal weighting and label smoothing where they are not 0."""

    def __init__(self, classes: int, focal_gamma: float, label_smoothing: float) -> None:
        super().__init__(name="loss")
        self._classes, self._gamma, self._smoothing = classes, focal_gamma, label_smoothing

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns the loss of each row, float32 (b,)."""
        if is_soft(y_true):
            probabilities = y_true
        elif not self._smoothing and not self._gamma:
            return keras.losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True)
        else:
            probabilities = ops.one_hot(ops.reshape(y_true, (-1,)), self._classes)
        if self._gamma:
            return keras.losses.categorical_focal_crossentropy(
                probabilities,
                y_pred,
                alpha=1.0,
                gamma=self._gamma,
                from_logits=True,
                label_smoothing=self._smoothing,
            )
        return keras.losses.categorical_crossentropy(
            probabilities, y_pred, from_logits=True, label_smoothing=self._smoothing
        )


class Accuracy(keras.metrics.SparseCategoricalAccuracy):
    """The share of rows whose most probable class is the target's."""

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Adds a batch."""
        labels = ops.argmax(y_true, axis=-1) if is_soft(y_true) else y_true
        super().update_state(labels, y_pred, sample_weight)


def is_soft(targets: Any) -> bool:
    """Whether targets are probabilities (b, classes), not class indices (b,) or (b, 1)."""
    shape = targets.shape
    return len(shape) == 2 and shape[1] != 1


def _learning_rate(spec: Train, steps: int) -> Any:
    if spec.schedule != "cosine":
        return spec.learning_rate
    warmup = round(spec.warmup_epochs * steps)
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup else spec.learning_rate,
        decay_steps=spec.epochs * steps - warmup,
        warmup_target=spec.learning_rate if warmup else None,
        warmup_steps=warmup,
    )

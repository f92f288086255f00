"""Optimizer, learning-rate schedule and loss from the training spec."""

from typing import Any

import keras
from keras import ops

from melanoma_exp.training import fused
from melanoma_exp.training.spec import Train

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def compile_model(model: keras.Model, spec: Train, steps: int, classes: int) -> None:
    """Gives the model its optimizer, loss and metric, and layers that are cheaper to train.

    Args:
        model: Gives logits (b, classes).
        spec: Says which.
        steps: Steps an epoch, which schedules are measured in.
        classes: Number of classes.
    """
    fused.fuse(model)
    model.compile(
        optimizer=make_optimizer(spec, steps),
        loss=make_loss(spec, classes),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=False,
    )


def make_optimizer(spec: Train, steps: int) -> keras.optimizers.Optimizer:
    """Returns a fresh optimizer with its schedule."""
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
    kinds = {
        "adam": fused.Adam,
        "adamw": fused.AdamW,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }
    return kinds[spec.optimizer](**options)


def make_loss(spec: Train, classes: int) -> Any:
    """Returns the loss of int labels (b,) and logits (b, classes)."""
    if not spec.label_smoothing and not spec.focal_gamma:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def loss(labels: Any, logits: Any) -> Any:
        one_hot = ops.one_hot(ops.reshape(labels, (-1,)), classes)
        if spec.focal_gamma:
            return keras.losses.categorical_focal_crossentropy(
                one_hot,
                logits,
                alpha=1.0,
                gamma=spec.focal_gamma,
                from_logits=True,
                label_smoothing=spec.label_smoothing,
            )
        return keras.losses.categorical_crossentropy(
            one_hot, logits, from_logits=True, label_smoothing=spec.label_smoothing
        )

    return loss


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

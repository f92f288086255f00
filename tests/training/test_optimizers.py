"""Optimizers and schedules do what their options say."""

import keras
import numpy as np
import pytest
from train_spec import THREE, train_spec

from melanoma_exp.training.optim import compile_model, make_optimizer


@pytest.mark.parametrize("options", [("optimizer=adamw",), ("optimizer=sgd",)])
@pytest.mark.parametrize("fused", ["true", "false"])
def test_weight_decay_acts_on_kernels_and_where_asked_for_on_all(
    options: tuple[str, ...], fused: str
) -> None:
    """Without gradients a step multiplies by 1 - rate * decay, or changes nothing."""
    options = (*options, "learning_rate=0.1", "weight_decay=0.5", f"fused={fused}")
    for more, everywhere in ((), False), (("weight_decay_on=all",), True):
        model = keras.Sequential(
            [
                keras.layers.Input((16, 16, 3)),
                keras.layers.Conv2D(2, 3),
                keras.layers.BatchNormalization(),
                keras.layers.Flatten(),
                keras.layers.Dense(3),
            ]
        )
        compile_model(model, train_spec(*options, *more), 1, THREE)
        for variable in model.trainable_variables:
            variable.assign(np.ones(variable.shape, np.float32))
        model.optimizer.apply([0 * v for v in model.trainable_variables], model.trainable_variables)
        for variable in model.trainable_variables:
            decays = everywhere or variable.name == "kernel"
            np.testing.assert_allclose(variable, 0.95 if decays else 1, rtol=1e-6)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd", "rmsprop"])
def test_every_optimizer_is_the_one_it_says(name: str) -> None:
    optimizer = make_optimizer(train_spec(f"optimizer={name}", "clip_norm=1"), 10)
    assert type(optimizer).__name__.lower() == name
    assert optimizer.global_clipnorm == 1


def test_cosine_rises_over_the_warm_up_and_falls_to_zero() -> None:
    spec = train_spec("schedule=cosine", "warmup_epochs=1", "epochs=5", "learning_rate=0.1")
    rate = make_optimizer(spec, 10)._learning_rate
    values = [float(rate(step)) for step in (0, 5, 10, 30, 50)]
    np.testing.assert_allclose(values, [0, 0.05, 0.1, 0.05, 0], atol=1e-6)

"""Optimizers and schedules do what their options say."""

import keras
import numpy as np
import pytest
from train_spec import THREE, train_spec

from melanoma_exp.spec import UserError
from melanoma_exp.training.learning_rate.schedule import schedule
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


PEAK, STEPS, EPOCHS = 0.1, 10, 20


def expected_rate(kind: str, step: int, warmup: int, final: float) -> float:
    """The formulas once more, one step at a time."""
    if step < warmup:
        return PEAK * step / warmup
    step, total = step - warmup, STEPS * EPOCHS - warmup
    if kind == "constant":
        return PEAK
    if kind == "linear":
        return PEAK * (1 - (1 - final) * step / total)
    if kind == "cosine":
        return PEAK * half_cosine(1, final, step / total)
    if kind == "one_cycle":
        top = 0.3 * total
        if step < top:
            return PEAK * half_cosine(0.04, 1, step / top)
        return PEAK * half_cosine(1, final, (step - top) / (total - top))
    length = 3 * STEPS
    while step >= length:
        step, length = step - length, length * 2
    return PEAK * half_cosine(1, final, step / length)


def half_cosine(start: float, end: float, at: float) -> float:
    return end + (start - end) * (1 + np.cos(np.pi * at)) / 2


@pytest.mark.parametrize(
    ("kind", "warmup", "final"),
    [
        ("constant", 2, 0),
        ("linear", 0, 0.1),
        ("linear", 3, 0),
        ("cosine", 1, 0),
        ("cosine", 0, 0.2),
        ("cosine_restarts", 0, 0),
        ("cosine_restarts", 2.5, 0.1),
        ("one_cycle", 0, 0.01),
    ],
)
def test_a_schedule_equals_its_formula_at_every_step(
    kind: str, warmup: float, final: float
) -> None:
    spec = train_spec(
        f"schedule={kind}",
        f"warmup_epochs={warmup}",
        f"final_fraction={final}",
        f"epochs={EPOCHS}",
        f"learning_rate={PEAK}",
        "restarts.first_epochs=3",
    )
    rate = schedule(spec, STEPS)
    steps = [*range(0, 190, 7), 29, 30, 31, 89, 90, 91, 199]
    found = [float(rate(step)) for step in steps]
    expected = [expected_rate(kind, step, round(warmup * STEPS), final) for step in steps]
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-8)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("schedule=plateau", "warmup_epochs=2"), "not for schedule=plateau, which goes by a metr"),
        (("schedule=one_cycle", "warmup_epochs=2"), "schedule=one_cycle, which rises by itself"),
        (("schedule=plateau", "final_fraction=0.1"), "final_fraction is not for schedule=plateau"),
        (("schedule=cosine", "warmup_epochs=20"), "warmup_epochs must be below epochs"),
    ],
)
def test_options_that_a_schedule_has_no_use_for_are_refused(
    words: tuple[str, ...], line: str
) -> None:
    with pytest.raises(UserError, match=line):
        train_spec(*words)

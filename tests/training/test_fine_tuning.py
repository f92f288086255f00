"""Fine-tuning: what is frozen stays to the bit, rates follow depth, phases resume bit for bit."""

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from test_training import feeds, small_net, train_spec

from melanoma_exp.spec import UserError
from melanoma_exp.training import fit, process
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.optim import compile_model, make_optimizer
from melanoma_exp.training.signals import Interrupted, Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.transfer.phases import Phases

TUNED = {
    "head_epochs": 0,
    "trainable_stages": "null",
    "layer_decay": 1.0,
    "unfreeze_every": "null",
    "freeze_norm": "false",
}
NET = small_net("m2").model_copy(update={"norm": "after_pool"})
STEPS = 4


def spec_of(*more: str, **tuned: Any) -> Train:
    values = ", ".join(f"{key}: {value}" for key, value in {**TUNED, **tuned}.items())
    return train_spec("batch_size=8", "epochs=3", f"fine_tuning={{{values}}}", *more)


def built(spec: Train) -> tuple[keras.Model, Phases]:
    process.prepare_process(spec, 1)
    model = NET.build((16, 16, 3), 3)
    return model, Phases(
        model,
        spec,
        NET,
        STEPS,
        partial(compile_model, model, spec, STEPS, ClassFrequencies.equal(3)),
    )


def trained(spec: Train, place: Path, stop_at: tuple[int, int] | None = None) -> Any:
    """Trains, stopped after a step of an epoch and resumed in a new model where that is asked."""
    train, val = feeds()
    assert train.steps == STEPS
    store, signals = CheckpointStore(place), Signals()

    class Stop:
        warn = print

        def step(self, epoch: int, step: int, loss: float, accuracy: float) -> None:
            if (epoch, step) == stop_at:
                signals.received = 15

        def epoch(self, epoch: int, metrics: Any) -> None:
            if (epoch, 0) == stop_at:
                signals.received = 15

    model, phases = built(spec)
    give = {"store": store, "enter_phase": phases.enter}
    if stop_at is None:
        return model, fit.fit(model, spec, train, val, signals, **give)
    with pytest.raises(Interrupted):
        fit.fit(model, spec, train, val, signals, progress=Stop(), **give)
    model, phases = built(spec)
    model.set_weights([weight + 1 for weight in model.get_weights()])
    give["enter_phase"] = phases.enter
    return model, fit.fit(model, spec, train, val, Signals(), saved=store.newest(), **give)


def moved(before: dict[str, np.ndarray], model: keras.Model) -> set[str]:
    """Returns the weights that are not what they were, to the last bit."""
    return {w.path for w in model.weights if not np.array_equal(before[w.path], w.numpy())}


def test_the_phases_of_epochs_follow_from_the_options() -> None:
    def phases(**tuned: Any) -> list[int]:
        tuning = spec_of("epochs=9", **tuned).fine_tuning
        assert tuning is not None
        assert [tuning.begin(k, 6) for k in range(9)] == [
            next(j for j in range(9) if tuning.trained(j, 6) == tuning.trained(k, 6))
            for k in range(9)
        ]
        return [tuning.trained(k, 6) for k in range(9)]

    assert phases() == [6] * 9
    assert phases(head_epochs=2) == [1, 1, 6, 6, 6, 6, 6, 6, 6]
    assert phases(head_epochs=1, trainable_stages=2) == [1] + [3] * 8
    assert phases(trainable_stages=0) == [1] * 9
    assert phases(head_epochs=1, unfreeze_every=2) == [1, 2, 2, 3, 3, 4, 4, 5, 5]
    assert phases(unfreeze_every=1, trainable_stages=3) == [2, 3, 4, 4, 4, 4, 4, 4, 4]


def test_frozen_layers_do_not_move_by_a_bit_nor_do_their_statistics(tmp_path: Path) -> None:
    spec = spec_of("optimizer=adamw", "weight_decay=0.1", trainable_stages=3)
    model, phases = built(spec)
    stages = NET.stages(model)
    frozen = {name for stage in stages[:-4] for name in stage}
    assert "block1_conv1" in frozen and any("norm" in name for name in frozen)
    before = {w.path: w.numpy() for w in model.weights}
    train, val = feeds()
    fit.fit(model, spec, train, val, Signals(), enter_phase=phases.enter)
    still = {path for path in before if path.split("/")[0] in frozen}
    assert moved(before, model) == before.keys() - still


def test_frozen_norms_stay_in_trained_stages_too() -> None:
    spec = spec_of(freeze_norm="true")
    model, phases = built(spec)
    before = {w.path: w.numpy() for w in model.weights}
    train, val = feeds()
    fit.fit(model, spec, train, val, Signals(), enter_phase=phases.enter)
    assert moved(before, model) == {path for path in before if "norm" not in path}


@pytest.mark.parametrize(
    ("optimizer", "fused"),
    [
        ("adamw", "true"),
        pytest.param("adamw", "false", marks=pytest.mark.slow),
        pytest.param("sgd", "false", marks=pytest.mark.slow),
    ],
)
def test_a_stage_learns_at_the_rate_of_its_depth(optimizer: str, fused: str) -> None:
    options = (f"optimizer={optimizer}", "weight_decay=0.1", f"fused={fused}")
    model, _ = built(spec_of(*options, layer_decay=0.5))
    stages = NET.stages(model)
    depth = {name: k for k, stage in enumerate(reversed(stages)) for name in stage}
    rates = {w.path: 0.5 ** depth[w.path.split("/")[0]] for w in model.trainable_weights}
    assert rates["logits/kernel"] == 1 and len(set(rates.values())) == len(stages)
    plain, _ = built(spec_of(*options))
    steps = []
    train, _ = feeds()
    for one in (plain, model):
        before = {w.path: w.numpy() for w in one.trainable_weights}
        one.train_on_batch(*train.batch(0, 0))
        steps.append({w.path: w.numpy() - before[w.path] for w in one.trainable_weights})
    for path, rate in rates.items():
        np.testing.assert_allclose(steps[1][path], rate * steps[0][path], rtol=2e-3, atol=1e-7)


def test_the_schedule_goes_on_over_phases_and_the_optimizer_begins_anew() -> None:
    options = ("schedule=cosine", "warmup_epochs=1", "ema=0.9")
    spec = spec_of(*options, head_epochs=1)
    model, phases = built(spec)
    train, val = feeds()
    history = fit.fit(model, spec, train, val, Signals(), enter_phase=phases.enter)
    assert int(model.optimizer.iterations) == 2 * STEPS
    rate = make_optimizer(spec, STEPS)._learning_rate
    assert history["learning_rate"] == [float(rate(k * STEPS)) for k in range(3)]


def test_a_rate_that_a_plateau_has_lowered_stays_low_in_the_next_phase() -> None:
    model, phases = built(spec_of("schedule=plateau", head_epochs=1))
    model.optimizer.learning_rate = 1e-4
    before = model.optimizer
    phases.enter(1)
    assert model.optimizer is not before
    assert float(model.optimizer.learning_rate) == pytest.approx(1e-4)


def assert_same(whole: Any, again: Any) -> None:
    (model, history), (repeated, same) = whole, again
    assert all(map(np.array_equal, model.get_weights(), repeated.get_weights()))
    for name in ("train/loss", "val/loss", "learning_rate"):
        assert history[name] == same[name], name


@pytest.mark.slow
def test_a_run_stopped_at_a_boundary_ends_as_one_that_never_was(tmp_path: Path) -> None:
    spec = spec_of("epochs=2", "schedule=cosine", "ema=0.9", head_epochs=1, layer_decay=0.7)
    assert_same(trained(spec, tmp_path / "whole"), trained(spec, tmp_path / "again", (1, 0)))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    options = ("schedule=plateau", "plateau.patience=1", "plateau.monitor=val/accuracy", "ema=0.9")
    tuned = {"head_epochs": 1, "unfreeze_every": 1, "layer_decay": 0.7}
    spec = spec_of(*options, "keep=best", **tuned)
    return spec, trained(spec, tmp_path_factory.mktemp("whole"))


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [(1, 0), (1, 2), (1, STEPS), (2, 0), (2, 1), (3, 3)])
def test_a_run_of_three_phases_may_stop_anywhere(
    stop_at: tuple[int, int], tmp_path: Path, whole: Any
) -> None:
    spec, uninterrupted = whole
    assert_same(uninterrupted, trained(spec, tmp_path, stop_at))


def test_what_cannot_be_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="head_epochs must be below epochs"):
        spec_of(head_epochs=3)
    with pytest.raises(UserError, match="fine_tuning needs features=null"):
        spec_of("features={views: 1, seed: 1}")
    with pytest.raises(UserError, match=r"trainable_stages=9: model m2 has \d stages before"):
        built(spec_of(trainable_stages=9))

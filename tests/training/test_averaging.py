"""Averaged weights are the averages they are called, with statistics of batch norm to match."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from test_training import feeds
from train_spec import THREE, train_spec

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training import fit, fused, process
from melanoma_exp.training.averaging import batch_norm
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.interfaces import ProgressListener
from melanoma_exp.training.optim import compile_model, make_optimizer
from melanoma_exp.training.signals import Signals

NET = ["model=m2", "model.filters=[[4],[8]]", "model.dense=[8]", "model.norm=after_pool"]


@pytest.mark.parametrize("momentum", [0.3, 0.999])
@pytest.mark.parametrize("fused_adam", ["true", "false"])
def test_a_moving_average_that_warms_up_equals_its_formula(
    momentum: float, fused_adam: str
) -> None:
    words = (f"ema={momentum}", "ema_warmup=true", f"fused={fused_adam}", "learning_rate=0.1")
    optimizer = make_optimizer(train_spec(*words), 10)
    variable = keras.Variable(np.ones(3, np.float32))
    average = None
    for step in range(30):
        optimizer.apply([np.float32([1, -1, step % 3])], [variable])
        value = np.array(variable)
        m = min(momentum, (1 + step) / (10 + step))
        average = value if average is None else m * average + (1 - m) * value
    optimizer.finalize_variable_values([variable])
    np.testing.assert_allclose(variable, average, rtol=1e-5, atol=1e-6)


class Epochs(ProgressListener):
    """Keeps the weights that each epoch leaves for the next one."""

    def __init__(self, model: keras.Model) -> None:
        self.model, self.weights = model, []

    def epoch(self, epoch: int, metrics: object) -> None:
        self.weights.append([np.array(v) for v in self.model.trainable_variables])


def test_statistics_for_the_moving_average_are_its_own_and_training_goes_on_as_without() -> None:
    left = []
    for batches in ("2", "null"):
        words = ("epochs=2", "batch_size=8", "learning_rate=0.02", "ema=0.9")
        spec = train_spec(*words, f"ema_bn_batches={batches}")
        process.prepare_process(spec, 1)
        images, val = feeds(8)
        model = config.parse(compose.compose(conf_folder(), NET)).model.build((16, 16, 3), 3)
        compile_model(model, spec, images.steps, THREE)
        epochs = Epochs(model)
        history = fit.fit(model, spec, images, val, Signals(), progress=epochs)
        norm = model.get_layer("block1_norm")
        before = keras.Model(model.input, norm.input)
        maps = [np.array(before(batch)) for batch, *_ in images.dataset(1).take(2)]
        expected = np.mean([one.mean((0, 1, 2)) for one in maps], 0)
        left.append((epochs.weights, history["val/loss"], norm.moving_mean, expected))
        # What was validated is what is kept.
        assert model.evaluate(val.dataset(), verbose=0)[0] == pytest.approx(
            history["val/loss"][-1], rel=1e-5
        )
    (weights, losses, found, expected), (plain, plain_losses, raw, _) = left
    for one, other in zip(weights, plain, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert losses[0] != plain_losses[0]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert not np.allclose(raw, expected, rtol=0.05)


@pytest.mark.slow
def test_swa_is_the_mean_of_the_weights_that_epochs_end_with() -> None:
    words = ("epochs=5", "batch_size=8", "learning_rate=0.02", "schedule=one_cycle")
    left = []
    for more in ("swa={from_epoch: 3, bn_batches: 2}", "swa=null"):
        spec = train_spec(*words, more)
        process.prepare_process(spec, 1)
        images, val = feeds(8)
        model = config.parse(compose.compose(conf_folder(), NET)).model.build((16, 16, 3), 3)
        compile_model(model, spec, images.steps, THREE)
        epochs = Epochs(model)
        with tempfile.TemporaryDirectory() as place:
            store = CheckpointStore(Path(place))
            history = fit.fit(model, spec, images, val, Signals(), progress=epochs, store=store)
        left.append((epochs.weights, history["val/loss"]))
        if spec.swa is not None:
            averaged = [np.array(v) for v in model.trainable_variables]
            loss = model.evaluate(val.dataset(), verbose=0)[0]
    (weights, losses), (plain, plain_losses) = left
    for one, other in zip(weights, plain, strict=True):  # averaging leaves training as it is
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
    assert losses[:2] == plain_losses[:2] and losses[3:] != plain_losses[3:]
    for found, *raw in zip(averaged, *weights[2:], strict=True):
        np.testing.assert_allclose(found, np.mean(raw, 0), rtol=1e-4, atol=1e-6)
    assert loss == pytest.approx(losses[-1], rel=1e-5)  # what was validated is what is kept


@pytest.mark.parametrize("faster", [True, False])
def test_statistics_of_batch_norm_are_those_of_the_batches(faster: bool) -> None:
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.layers.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3, name="conv"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.BatchNormalization(name="frozen", trainable=False),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )
    if faster:
        fused.fuse(model)
    before = [np.array(w) for w in model.trainable_weights]
    frozen = [np.array(w) for w in model.get_layer("frozen").weights]
    random = np.random.default_rng(1)
    batches = [(random.normal(k, 1, (n, 8, 8, 3)).astype(np.float32),) for k, n in ((0, 8), (2, 5))]
    batch_norm.estimate(model, batches)
    maps = [np.array(model.get_layer("conv")(images)) for (images,) in batches]
    norm = model.get_layer("norm")
    for found, statistic in ((norm.moving_mean, np.mean), (norm.moving_variance, np.var)):
        expected = np.mean([statistic(m, (0, 1, 2)) for m in maps], 0)
        np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert norm.momentum == 0.99
    assert all(np.array_equal(a, b) for a, b in zip(before, model.trainable_weights, strict=True))
    kept = model.get_layer("frozen").weights
    assert all(np.array_equal(a, b) for a, b in zip(frozen, kept, strict=True))


SWA = "train.swa={from_epoch: 30, bn_batches: 2}"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ((SWA,), "train: swa.from_epoch=30 is never reached: epochs is 20"),
        ((SWA, "train.epochs=30", "train.ema=0.9"), "train: swa and ema both average the weights"),
        (("train.ema_warmup=true",), "train: ema_warmup needs ema"),
        (("train.ema_bn_batches=5",), "train: ema_bn_batches needs ema"),
        (
            ("train.ema=0.9", "train.ema_bn_batches=5", "distribution=mirrored"),
            r"train.ema_bn_batches: needs distribution=single \(got mirrored\)",
        ),
        (
            (SWA, "train.epochs=30", "distribution=mirrored"),
            r"train.swa: needs distribution=single \(got mirrored\)",
        ),
    ],
)
def test_averages_that_cannot_be_are_refused(words: tuple[str, ...], line: str) -> None:
    with pytest.raises(UserError, match=f"^{line}"):
        config.parse(compose.compose(conf_folder(), list(words)))

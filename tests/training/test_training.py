"""Losses, optimizers and the loop do what their options say; equal runs give equal weights."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from train_spec import THREE, train_spec

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.balance.none import NoBalance
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Samples
from melanoma_exp.models.base import Model
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training import fit, process
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.optim import Accuracy, Loss, compile_model
from melanoma_exp.training.signals import Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import History


def feeds(batch_size: int = 8) -> tuple[Loader, Loader]:
    random = np.random.default_rng(0)
    n = 40
    label = np.arange(n) % 3
    pixels = (random.integers(0, 80, (n, 16, 16, 3)) + 70 * label[:, None, None, None]).astype(
        np.uint8
    )
    names = np.array([f"image{k}" for k in range(n)])
    rows = Samples(
        ("a", "b", "c"),
        np.arange(n),
        names,
        np.zeros(n, np.int64),
        label,
        names,
        np.full(n, "train"),
    )
    reader = Reader(pixels, pixels[:0])
    plan = NoBalance(kind="none").apply(rows.take(np.arange(30)), 1)
    policy = config.parse(compose.compose(conf_folder(), ["augment=dihedral"])).augment
    train = Loader.training(plan, reader, policy, batch_size, seed=1)
    return train, Loader(rows.take(np.arange(30, n)), reader, batch_size)


def small_net(name: str) -> Model:
    net = [f"model={name}", "model.filters=[[4],[8]]", "model.dense=[8]"]
    return config.parse(compose.compose(conf_folder(), net)).model


def trained(
    spec: Train, seed: int = 1, name: str = "m2"
) -> tuple[list[np.ndarray], History, float]:
    process.prepare_process(spec, seed)
    train, val = feeds(spec.batch_size)
    model = small_net(name).build((16, 16, 3), 3)
    compile_model(model, spec, train.steps, THREE)
    logged: list[int] = []
    with tempfile.TemporaryDirectory() as place:
        history = fit.fit(
            model,
            spec,
            train,
            val,
            Signals(),
            log=lambda metrics, epoch: logged.append(epoch),
            store=CheckpointStore(Path(place)),
        )
    assert logged == list(range(1, len(logged) + 1))
    final_val_loss = model.evaluate(val.dataset(), verbose=0)[0]
    return model.get_weights(), history, final_val_loss


def test_two_equal_runs_end_with_bit_identical_weights_and_other_seeds_do_not() -> None:
    spec = train_spec("epochs=2", "batch_size=8")
    first, history, _ = trained(spec)
    again, *_ = trained(spec)
    other, *_ = trained(spec, seed=2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert set(history) == {
        "train/loss",
        "train/accuracy",
        "val/loss",
        "val/accuracy",
        "learning_rate",
        "seconds",
        "images_per_second",
        "data/wait_share",
        "data/start_seconds",
    }
    assert all(len(values) == 2 for values in history.values())


def test_the_network_learns_what_is_easy() -> None:
    _, history, _ = trained(
        train_spec("epochs=15", "batch_size=8", "learning_rate=0.01"), name="m1"
    )
    assert history["train/loss"][-1] < 0.3 * history["train/loss"][0]
    assert history["val/accuracy"][-1] > 0.8


def test_losses_equal_their_formulas() -> None:
    random = np.random.default_rng(1)
    logits = random.normal(size=(5, 3)).astype(np.float32)
    labels = np.array([0, 1, 2, 1, 0])
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    true = p[np.arange(5), labels]
    plain = Loss(train_spec().loss, THREE)(labels, logits)
    assert float(plain) == pytest.approx(-np.log(true).mean(), rel=1e-5)


def test_early_stopping_keeps_the_best_epochs_weights() -> None:
    spec = train_spec(
        "epochs=30",
        "batch_size=8",
        "learning_rate=0.5",
        "optimizer=sgd",
        "keep=best",
        "early_stopping.patience=2",
    )
    weights, history, _ = trained(spec)
    best = int(np.argmin(history["val/loss"])) + 1
    assert len(history["val/loss"]) == best + 2
    shorter, *_ = trained(spec.model_copy(update={"epochs": best}))
    assert all(np.array_equal(a, b) for a, b in zip(weights, shorter, strict=True))


def test_plateau_lowers_the_learning_rate() -> None:
    spec = train_spec(
        "epochs=6",
        "schedule=plateau",
        "learning_rate=1e-12",
        "plateau.patience=2",
        "plateau.factor=0.5",
        "plateau.min_learning_rate=0",
        "plateau.monitor=val/accuracy",
    )
    _, history, _ = trained(spec)
    assert history["learning_rate"][-1] < history["learning_rate"][0]


def test_ema_weights_are_kept_and_validated() -> None:
    plain, *_ = trained(train_spec("epochs=2", "batch_size=8"))
    spec = train_spec("epochs=2", "batch_size=8", "ema=0.9")
    averaged, history, final = trained(spec)
    assert not all(np.array_equal(a, b) for a, b in zip(plain, averaged, strict=True))
    assert final == pytest.approx(history["val/loss"][-1], rel=1e-5)


def test_the_best_epochs_averaged_weights_are_kept_not_its_raw_ones() -> None:
    for patience in ("null", "2"):
        _, history, final = trained(
            train_spec(
                "epochs=8",
                "batch_size=8",
                "ema=0.5",
                "keep=best",
                "learning_rate=0.3",
                "optimizer=sgd",
                f"early_stopping.patience={patience}",
            )
        )
        assert final == pytest.approx(min(history["val/loss"]), rel=1e-5)


def test_precision_is_set_anew_by_every_run() -> None:
    process.prepare_process(train_spec("precision=bfloat16"), 1)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    process.prepare_process(train_spec(), 1)
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    "options",
    [(), ("/loss=focal",), ("loss.label_smoothing=0.1",), ("/loss=ldam", "ema=0.9")],
)
def test_one_hot_targets_train_as_their_labels_do(options: tuple[str, ...]) -> None:
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (12, 16, 16, 3)).astype(np.uint8)
    labels, weights = np.arange(12) % 3, random.uniform(0.5, 2, 12).astype(np.float32)
    found = []
    for targets in (labels, np.eye(3, dtype=np.float32)[labels]):
        spec = train_spec(*options, "optimizer=sgd", "learning_rate=1")
        process.prepare_process(spec, 1)
        model = small_net("m2").build((16, 16, 3), 3)
        compile_model(model, spec, 1, THREE)
        before = model.get_weights()
        metrics = model.train_on_batch(images, targets, weights, return_dict=True)
        gradients = [a - b for a, b in zip(before, model.get_weights(), strict=True)]
        found.append([float(metrics["loss"]), float(metrics["accuracy"]), *gradients])
    assert found[0][1] == found[1][1]
    for hard, soft in zip(*found, strict=True):
        np.testing.assert_allclose(soft, hard, rtol=1e-5, atol=1e-6)


def test_soft_targets_share_the_loss_and_the_likeliest_class_is_the_right_one() -> None:
    logits = np.array([[2, 0, -1], [0.5, 1, 0]], np.float32)
    targets = np.array([[0.7, 0.3, 0], [0.6, 0.1, 0.3]], np.float32)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    loss = Loss(train_spec().loss, THREE)
    assert float(loss(targets, logits)) == pytest.approx(-(targets * log_p).sum(1).mean(), rel=1e-5)
    accuracy = Accuracy()
    accuracy.update_state(targets, logits)
    assert float(accuracy.result()) == 0.5


def test_without_fused_layers_keras_trains_with_its_own() -> None:
    model = small_net("m2").build((16, 16, 3), 3)
    classes = [type(layer) for layer in model.layers]
    compile_model(model, train_spec("fused=false"), 1, THREE)
    assert [type(layer) for layer in model.layers] == classes
    assert type(model.optimizer) is keras.optimizers.Adam
    compile_model(model, train_spec("fused=true"), 1, THREE)
    assert [type(layer) for layer in model.layers] != classes
    assert type(model.optimizer) is not keras.optimizers.Adam
    _, history, _ = trained(train_spec("epochs=2", "batch_size=8", "fused=false"))
    assert np.isfinite(history["val/loss"]).all()

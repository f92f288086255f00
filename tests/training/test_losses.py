"""Losses equal their formulas, for labels and for soft targets, and favour what they should."""

import dataclasses

import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.balance.sampling import Sampling
from melanoma_exp.data.samples import Plan, Samples
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.optim import Loss
from melanoma_exp.training.spec import Train

IMAGES = np.array([80, 15, 5])
LONG_TAIL = ClassFrequencies(IMAGES, IMAGES / 100)
LOSSES = ("cross_entropy", "focal", "logit_adjusted", "ldam")
LOGITS = np.random.default_rng(1).normal(size=(6, 3)).astype(np.float32)
LABELS = np.array([0, 1, 2, 1, 0, 2])
SHARES = np.array([[0.7, 0.3, 0], [0, 1, 0], [0.1, 0.2, 0.7]], np.float32)


def spec(*words: str) -> Train:
    return config.parse(compose.compose(conf_folder(), list(words))).train


def rows(targets: np.ndarray, logits: np.ndarray, *words: str) -> np.ndarray:
    return np.asarray(Loss(spec(*words).loss, LONG_TAIL).call(targets, logits))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def log_likelihood(logits: np.ndarray) -> np.ndarray:
    return log_softmax(logits.astype(np.float64))[np.arange(6), LABELS]


def test_losses_of_labels_equal_their_formulas() -> None:
    log_p = log_likelihood(LOGITS)
    expected = {
        "cross_entropy": -log_p,
        "focal": -((1 - np.exp(log_p)) ** 1.5) * log_p,
        "logit_adjusted": -log_likelihood(LOGITS + 0.5 * np.log(IMAGES / 100)),
    }
    margins = 0.4 * (5 / IMAGES) ** 0.25
    expected["ldam"] = -log_likelihood(3 * (LOGITS - np.eye(3)[LABELS] * margins))
    found = {
        "cross_entropy": rows(LABELS, LOGITS),
        "focal": rows(LABELS, LOGITS, "train/loss=focal", "train.loss.gamma=1.5"),
        "logit_adjusted": rows(LABELS, LOGITS, "train/loss=logit_adjusted", "train.loss.tau=0.5"),
        "ldam": rows(
            LABELS, LOGITS, "train/loss=ldam", "train.loss.scale=3", "train.loss.max_margin=0.4"
        ),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, err_msg=name)


def test_label_smoothing_spreads_a_share_of_the_target() -> None:
    target = np.eye(3)[LABELS] * 0.9 + 0.1 / 3
    for name, logits in (
        ("cross_entropy", LOGITS),
        ("logit_adjusted", LOGITS + np.log(IMAGES / 100)),
    ):
        found = rows(LABELS, LOGITS, f"train/loss={name}", "train.loss.label_smoothing=0.1")
        np.testing.assert_allclose(found, -(target * log_softmax(logits)).sum(1), rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_soft_target_sums_the_losses_of_its_classes(name: str) -> None:
    word = f"train/loss={name}"
    ones = np.stack([rows(np.full(3, c), LOGITS[:3], word) for c in range(3)], 1)
    np.testing.assert_allclose(rows(SHARES, LOGITS[:3], word), (SHARES * ones).sum(1), rtol=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_a_rare_class_is_pushed_up_at_least_as_hard_as_by_cross_entropy(name: str) -> None:
    """All classes equally likely: what a row of each class moves its own logit by."""
    import tensorflow as tf

    loss = Loss(spec(f"train/loss={name}").loss, LONG_TAIL)
    logits = tf.Variable(np.zeros((3, 3), np.float32))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(loss.call(np.arange(3), logits))
    push = -np.diag(tape.gradient(total, logits).numpy())
    assert np.isfinite(push).all() and (push > 0).all()
    if name in ("cross_entropy", "focal"):
        np.testing.assert_allclose(push, push[0])
    else:
        assert push[0] < push[1] < push[2]


def plan(balance: Sampling | None = None) -> Plan:
    label = np.repeat(np.arange(3), [16, 4, 0])
    names = np.array([f"image{k}" for k in range(20)])
    zeros = np.zeros(20, np.int64)
    samples = Samples(
        ("a", "b", "c"), np.arange(20), names, zeros, label, names, np.full(20, "train")
    )
    return balance.apply(samples, 1) if balance else Plan(samples, np.ones(3))


def test_frequencies_are_those_that_training_shows() -> None:
    found = ClassFrequencies.of(plan())
    assert found.images.tolist() == [16, 4, 0]
    np.testing.assert_allclose(found.shares, [0.8, 0.2, 0.05])  # none counts as one row
    even = ClassFrequencies.of(plan(Sampling(kind="sampling", power=1, images=None, from_epoch=1)))
    assert even.images.tolist() == [16, 4, 0]
    np.testing.assert_allclose(even.shares, [0.5, 0.5, 0.05])


def test_logit_adjustment_and_class_weights_do_not_correct_twice() -> None:
    weighted = dataclasses.replace(plan(), class_weight=np.array([0.5, 2, 0]))
    for name in LOSSES:
        loss = spec(f"train/loss={name}").loss
        loss.check(plan())
        if name == "logit_adjusted":
            with pytest.raises(UserError, match="^train.loss: logit_adjusted evens the classes"):
                loss.check(weighted)
        else:
            loss.check(weighted)


def test_what_cannot_go_with_a_plan_is_refused() -> None:
    late = plan(Sampling(kind="sampling", power=1, images=None, from_epoch=3))
    with pytest.raises(UserError, match="logit_adjusted needs the same shares in all epochs"):
        spec("train/loss=logit_adjusted").check(late)
    spec("train.epochs=3").check(late)
    with pytest.raises(UserError, match=r"^balance.from_epoch: 3 is never reached: train.epochs"):
        spec("train.epochs=2").check(late)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("train.label_smoothing=0.1", "train.label_smoothing: is now train.loss.label_smoothing"),
        ("train.focal_gamma=2", "train.focal_gamma: is now train.loss.gamma of train/loss=focal"),
        ("+train.focal_gamma=2", "train: focal_gamma is now train.loss.gamma of train/loss=focal"),
    ],
)
def test_a_key_of_an_earlier_version_is_answered_with_its_new_name(word: str, line: str) -> None:
    with pytest.raises(UserError) as refused:
        spec(word)
    assert refused.value.lines == (line,)

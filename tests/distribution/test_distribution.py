"""Which rows are whose, and what several replicas compute together."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from melanoma_exp import config
from melanoma_exp.augment import AnyPolicy
from melanoma_exp.cli import compose
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder


@given(st.integers(1, 80), st.integers(1, 300))
def test_parts_of_a_batch_follow_one_another_and_are_as_even_as_can_be(
    replicas: int, total: int
) -> None:
    from melanoma_exp.distribution.sharding import shard_bounds

    bounds = [shard_bounds(k, replicas, total) for k in range(replicas)]
    assert bounds[0][0] == 0 and bounds[-1][1] == total
    assert all(a[1] == b[0] for a, b in zip(bounds, bounds[1:], strict=False))
    sizes = [b - a for a, b in bounds]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("weights", [None, np.arange(23.0)])
@pytest.mark.parametrize("augment", ["dihedral", "mixup", "cutmix"])
@pytest.mark.parametrize("replicas", [2, 4])
def test_processes_make_together_what_one_would(
    replicas: int, augment: str, weights: Any, option: Any
) -> None:
    from melanoma_exp.distribution.sharding import ShardedLoader

    random = np.random.default_rng(0)
    names = np.array([f"i{k}" for k in range(23)])
    rows = Samples(
        ("a", "b"),
        np.arange(23),
        names,
        np.zeros(23, np.int64),
        np.arange(23) % 2,
        names,
        np.full(23, "train"),
    )
    pixels = random.integers(0, 256, (23, 6, 6, 3)).astype(np.uint8)
    policy: AnyPolicy = option("augment", augment)
    reader = Reader(pixels, pixels[:0])
    loader = Loader(rows, reader, 10, np.array([0.5, 1.5]), policy, 3, weights)
    strategy: Any = SimpleNamespace(num_replicas_in_sync=replicas)
    shards = [ShardedLoader(loader, strategy, k, replicas) for k in range(replicas)]
    for step in range(loader.steps):
        pieces = [shard.shard(5, step, k) for k, shard in enumerate(shards)]
        pieces = [[x[: p[3][1]] for x in p[:3]] for p in pieces]  # without those that stand in
        for whole, *split in zip(loader.batch(5, step), *pieces, strict=True):
            np.testing.assert_array_equal(whole, np.concatenate(split))
    last = [shard.shard(5, 2, k)[3].tolist() for k, shard in enumerate(shards)]
    assert last[-1][2] == 3 and sum(count for _, count, _ in last) == 3


@pytest.fixture(scope="module")
def replicas() -> list[float]:
    """What `replicas.py` prints of two replicas; one has no row of the smallest batch."""
    script = Path(__file__).parents[1] / "support" / "replicas.py"
    done = subprocess.run([sys.executable, script, "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


@pytest.mark.slow
def test_batch_norm_dropout_loss_and_clipping_are_those_of_the_whole_batch(
    replicas: list[float],
) -> None:
    assert replicas[0] < 1e-12


def test_soft_targets_and_plain_keras_layers_too(replicas: list[float]) -> None:
    assert max(replicas[1:3]) < 1e-12


@pytest.mark.parametrize("name", ["AlphaDropout", "Own", "LSTM"])
def test_a_layer_that_would_draw_in_each_replica_is_refused(name: str) -> None:
    import keras
    import tensorflow as tf

    from melanoma_exp.distribution.whole_batch import use_whole_batch

    class Own(keras.layers.Layer):
        def call(self, inputs, training=False):
            return inputs * tf.random.uniform(tf.shape(inputs)) if training else inputs

    make = {
        "AlphaDropout": lambda: keras.layers.AlphaDropout(0.1, name="odd"),
        "Own": lambda: Own(name="odd"),
        "LSTM": lambda: keras.layers.LSTM(2, return_sequences=True, dropout=0.1, name="odd"),
    }

    def network(*odd: keras.layers.Layer) -> keras.Model:
        images = keras.Input((4, 4, 3), dtype="uint8")
        x = keras.layers.Reshape((16, 3))(keras.layers.Rescaling(1 / 255)(images))
        known = keras.layers.SpatialDropout1D(0.2), keras.layers.GaussianNoise(0.1)
        x = keras.Sequential([*known, *odd, keras.layers.LSTM(2), keras.layers.Dropout(0.1)])(x)
        return keras.Model(images, keras.layers.BatchNormalization()(x))

    use_whole_batch(network())
    with pytest.raises(UserError, match=rf"layer odd \({name}") as caught:
        use_whole_batch(network(make[name]()))
    assert len(caught.value.lines) == 1


def test_keras_alone_still_does_otherwise(replicas: list[float]) -> None:
    """If this fails, `BatchNormalization` or `skip_gradient_reduction` can go."""
    masked_mean, clipped_step = replicas[3:]
    assert masked_mean > 0.1 and clipped_step > 0.1


def parsed(*overrides: str) -> config.Experiment:
    return config.parse(compose.compose(conf_folder(), list(overrides)))


def test_parameter_servers_are_refused_with_the_reason() -> None:
    refused = parsed("distribution=parameter_server").distribution
    with pytest.raises(UserError, match="no run could be repeated.*multi_worker") as caught:
        refused.check_environment()
    assert len(caught.value.lines) == 1


def test_what_a_tpu_and_gpus_lack_is_said_in_one_line() -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    for name, message in (("tpu", "no TPU on this machine"), ("mirrored", "this machine has 0")):
        with pytest.raises(UserError, match=message) as caught:
            parsed(f"distribution={name}").distribution.create(8)
        assert len(caught.value.lines) == 1 and "\n" not in caught.value.lines[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "1"], "should be at least 2"),
        (["--workers", "2", "--restarts", "-1"], "should be at least 0"),
        (["distribution=single"], "chooses distribution=multi_worker itself"),
        (["predict"], "starts a training or resume, not predict"),
    ],
)
def test_launch_refuses_what_it_cannot_do(words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        COMMANDS["launch"](words)

"""Who trains with whom, and which rows are whose: known before any process is started."""

import json
import socket
import subprocess
import sys
import threading
import time
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
from melanoma_exp.distribution import cluster
from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

WORKERS = ["10.0.0.1:2222", "10.0.0.2:2222"]
SLURM = {
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_NODELIST": "node[08-10]",
    "SLURM_PROCID": "3",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
}


def tf_config(workers: Any, kind: str = "worker", index: Any = 1, **jobs: Any) -> dict[str, str]:
    content = {"cluster": {"worker": workers, **jobs}, "task": {"type": kind, "index": index}}
    return {"TF_CONFIG": json.dumps(content)}


def test_tf_config_names_the_workers() -> None:
    assert cluster.from_environment(tf_config(WORKERS)) == Cluster(tuple(WORKERS), 1)
    chief = cluster.from_environment(tf_config(WORKERS, "chief", 0, chief=["a:1"]))
    assert chief.is_chief and chief.addresses == ("a:1", *WORKERS)
    second = cluster.from_environment(tf_config(WORKERS, "worker", 1, chief=["a:1"]))
    assert second.index == 2 and second.name(2) == "worker 2 (10.0.0.2:2222)"


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({}, "the workers are not known"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG: is not valid JSON"),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: has no cluster"),
        (tf_config(WORKERS, index=2), "has no task.index below 2 (got 2)"),
        (tf_config(WORKERS, index="1"), "has no task.index below 2 (got 1)"),
        (tf_config(WORKERS, "chief"), "has no task.type out of worker"),
        (tf_config(["10.0.0.1"]), "cluster.worker: should be host:port (got 10.0.0.1)"),
        (tf_config("10.0.0.1:1"), "cluster.worker should be a list of host:port"),
        (tf_config(WORKERS[:1] * 2), "lists an address twice"),
        (tf_config(WORKERS, ps=["a:1"]), "has a job ps; only chief and worker train together"),
        ({**SLURM, "SLURM_STEP_TASKS_PER_NODE": "x"}, "Slurm's environment cannot be read"),
    ],
)
def test_a_broken_environment_is_told_in_one_line(environment: Any, message: str) -> None:
    with pytest.raises(UserError) as told:
        cluster.from_environment(environment)
    assert len(told.value.lines) == 1 and "\n" not in told.value.lines[0]
    assert message in told.value.lines[0]


def test_slurm_names_the_workers_as_tensorflows_resolver_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tensorflow as tf

    ours = cluster.from_environment(SLURM)
    assert ours.index == 3
    port = int(ours.addresses[0].split(":")[1])
    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    theirs = tf.distribute.cluster_resolver.SlurmClusterResolver(
        port_base=port, gpus_per_node=2, gpus_per_task=1, auto_set_gpu=False
    )
    assert list(ours.addresses) == theirs.cluster_spec().as_dict()["worker"]
    assert theirs.get_task_info() == ("worker", ours.index)
    other_job = cluster.from_environment({**SLURM, "SLURM_JOB_ID": "8"})
    assert not set(other_job.addresses) & set(ours.addresses)


def test_slurms_short_form_of_hosts() -> None:
    text = "a,n[1-2,07],gpu[9-10]-ib,z9"
    assert cluster.expand_hosts(text) == ["a", "n1", "n2", "n07", "gpu9-ib", "gpu10-ib", "z9"]


@given(st.integers(1, 80), st.integers(1, 300))
def test_parts_of_a_batch_follow_one_another_and_are_as_even_as_can_be(
    replicas: int, total: int
) -> None:
    from melanoma_exp.distribution.sharding import shard_bounds

    parts = [shard_bounds(k, replicas, total) for k in range(replicas)]
    assert parts[0][0] == 0 and parts[-1][1] == total
    assert all(a[1] == b[0] for a, b in zip(parts, parts[1:], strict=False))
    sizes = [b - a for a, b in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("replicas", [2, 4])
def test_processes_make_together_what_one_would(replicas: int, option: Any) -> None:
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
    policy: AnyPolicy = option("augment", "dihedral")
    reader = Reader(pixels, pixels[:0])
    loader = Loader(rows, reader, 10, np.array([0.5, 1.5]), policy, seed=3)
    strategy: Any = SimpleNamespace(num_replicas_in_sync=replicas)
    shards = [ShardedLoader(loader, strategy, k, replicas) for k in range(replicas)]
    for step in range(loader.steps):
        parts = [shard.shard(5, step, k) for k, shard in enumerate(shards)]
        parts = [[x[: p[3][1]] for x in p[:3]] for p in parts]  # without those that stand in
        for whole, *split in zip(loader.batch(5, step), *parts, strict=True):
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


def test_batch_norm_dropout_loss_and_clipping_are_those_of_the_whole_batch(
    replicas: list[float],
) -> None:
    assert replicas[0] < 1e-12


def test_soft_targets_and_plain_keras_layers_too(replicas: list[float]) -> None:
    assert max(replicas[1:3]) < 1e-12


def test_keras_alone_still_does_otherwise(replicas: list[float]) -> None:
    """If this fails, `BatchNormalization` or `skip_gradient_reduction` can go."""
    masked_mean, clipped_step = replicas[3:]
    assert masked_mean > 0.1 and clipped_step > 0.1


def parsed(*overrides: str) -> config.Experiment:
    return config.parse(compose.compose(conf_folder(), list(overrides)))


def test_parameter_servers_are_refused_with_the_reason() -> None:
    refused = parsed("distribution=parameter_server").distribution
    with pytest.raises(UserError, match="no run could be repeated.*multi_worker") as told:
        refused.check_environment()
    assert len(told.value.lines) == 1


def test_what_a_tpu_and_gpus_lack_is_said_in_one_line() -> None:
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        pytest.skip("this machine has a GPU")
    for name, message in (("tpu", "no TPU on this machine"), ("mirrored", "this machine has 0")):
        with pytest.raises(UserError, match=message) as told:
            parsed(f"distribution={name}").distribution.create(8)
        assert len(told.value.lines) == 1 and "\n" not in told.value.lines[0]


class Peer:
    """Listens as a worker does, until it freezes or ends."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.answers = True
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.socket.getsockname()[1]}"

    def serve(self) -> None:
        while self.answers:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            connection.sendall(b"\0\0\0\4\0\0\0\0\0" if self.answers else b"")

    def freeze(self) -> None:
        self.answers = False

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()


@pytest.mark.parametrize("how", ["freeze", "end"])
def test_a_worker_that_is_frozen_or_has_ended_is_named(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from melanoma_exp.distribution import liveness

    for name, seconds in (
        ("PROBE_INTERVAL", 0.05),
        ("PROBE_TIMEOUT", 0.3),
        ("LINGER", 0.1),
        ("DETECTION_TIME", 20),
    ):
        monkeypatch.setattr(liveness, name, seconds)
    peers = [Peer(), Peer()]
    aborted: list[str] = []
    workers = Cluster(("127.0.0.1:1", *(peer.address for peer in peers)), 0)
    looking = liveness.LivenessMonitor(workers, 60, aborted.append)
    time.sleep(0.5)
    assert not looking.lost
    getattr(peers[1], how)()
    assert looking.find_lost("", True) == f"worker 2 ({workers.addresses[2]}) was lost"
    looking.stop()
    assert aborted == [looking.lost]


def test_a_worker_that_never_comes_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from melanoma_exp.distribution import liveness

    monkeypatch.setattr(liveness, "PROBE_INTERVAL", 0.05)
    monkeypatch.setattr(liveness, "LINGER", 0.1)
    looking = liveness.LivenessMonitor(
        Cluster(("127.0.0.1:1", "127.0.0.1:2"), 0), 0.2, lambda line: None
    )
    assert looking.find_lost("", True) == "worker 1 (127.0.0.1:2) did not connect within 0 s"
    looking.stop()


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

"""Finding the other processes, or the TPU, of a training."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import tensorflow as tf

from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.distribution.liveness import Watch, abort_collectives
from melanoma_exp.distribution.team import Team
from melanoma_exp.spec import UserError
from melanoma_exp.training.signals import SIGNALS


def join(cluster: Cluster, patience: float, batch_size: int) -> Team:
    """Joins the processes of a cluster; blocks until all are there.

    Args:
        cluster: Who they are.
        patience: Seconds to wait for them.
        batch_size: The global one.

    Raises:
        UserError: The batch has fewer images than there are replicas.
    """
    tf.get_logger().setLevel(logging.WARNING)  # it would tell of every sum that is traced
    gpus = len(tf.config.list_physical_devices("GPU"))
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": gpus},
        rpc_layer="grpc",
    )
    watch = Watch(cluster, patience, abort_collectives)
    with _ended_by_signals():
        strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
    # All processes have the same number of batches: nothing need be asked before each.
    strategy.extended.experimental_enable_get_next_as_optional = False
    if batch_size < strategy.num_replicas_in_sync:
        raise UserError(
            f"train.batch_size={batch_size} is less than {strategy.num_replicas_in_sync} replicas"
        )
    return Team(strategy, cluster, watch)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Lets Ctrl-C end the process: while TensorFlow waits for others, Python hears no signal."""
    before = {s: signal.signal(s, signal.SIG_DFL) for s in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def connect_tpu(name: str | None, batch_size: int) -> Team:
    """Connects to a TPU.

    Args:
        name: Of the TPU; null or `local` is the one of this machine.
        batch_size: The global one.

    Raises:
        UserError: There is none, or the batch cannot be divided among its cores.
    """
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=name or "local")
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
        strategy = tf.distribute.TPUStrategy(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"distribution.name: no TPU {name or 'on this machine'} ({said}); it needs a TPU "
            "machine with its build of TensorFlow; use distribution=single"
        ) from None
    if batch_size % strategy.num_replicas_in_sync:
        raise UserError(
            f"train.batch_size={batch_size} is not divisible by {strategy.num_replicas_in_sync} "
            "cores of the TPU"
        )
    return Team(strategy)

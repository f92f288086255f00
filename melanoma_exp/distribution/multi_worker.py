"""The option `multi_worker`."""

import logging
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from melanoma_exp.distribution import cluster
from melanoma_exp.distribution.base import Distribution
from melanoma_exp.distribution.liveness import LivenessMonitor, abort_collectives
from melanoma_exp.spec import UserError
from melanoma_exp.training.signals import requests

if TYPE_CHECKING:
    from melanoma_exp.distribution.worker_group import WorkerGroup


class MultiWorker(Distribution):
    """Processes on one or several machines, each with all its GPUs, or its CPU.

    TF_CONFIG or Slurm lists them. Each loads its own shard of every batch; the first of them, the
    chief, records the run.

    Attributes:
        start_timeout: Seconds to wait for the other workers.
    """

    kind: Literal["multi_worker"]
    start_timeout: float = Field(gt=0)

    def check_environment(self) -> None:
        """Checks that TF_CONFIG or Slurm lists the workers.

        Raises:
            UserError: Neither does.
        """
        cluster.from_environment()
        # What TensorFlow prints of workers that leave is raised as an exception where it matters.
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

    def is_chief(self) -> bool:
        """Whether this process is the first of the workers; see the base class."""
        return cluster.from_environment().is_chief

    def create(self, batch_size: int) -> "WorkerGroup":
        """Returns the group of all processes; blocks until all have connected.

        Args:
            batch_size: The global one.

        Raises:
            UserError: TF_CONFIG is missing or broken, or there are more replicas than images.
        """
        workers = cluster.from_environment()
        import tensorflow as tf

        from melanoma_exp.distribution.worker_group import WorkerGroup

        tf.get_logger().setLevel(logging.WARNING)  # it would log every reduction that is traced
        gpus = len(tf.config.list_physical_devices("GPU"))
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(workers.addresses)}),
            task_type="worker",
            task_id=workers.index,
            num_accelerators={"GPU": gpus},
            rpc_layer="grpc",
        )
        monitor = LivenessMonitor(workers, self.start_timeout, abort_collectives)
        with _default_signals():
            strategy = tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)
        # All processes have the same number of batches: no need to ask before each.
        strategy.extended.experimental_enable_get_next_as_optional = False
        if batch_size < strategy.num_replicas_in_sync:
            raise UserError(
                f"train.batch_size={batch_size} is less than {strategy.num_replicas_in_sync} "
                "replicas"
            )
        return WorkerGroup(strategy, workers, monitor)


@contextmanager
def _default_signals() -> Iterator[None]:
    """Lets Ctrl-C end the process: while TensorFlow connects, Python handles no signal."""
    before = {s: signal.signal(s, signal.SIG_DFL) for s in requests()}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)

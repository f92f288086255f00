"""The processes and devices that train one model, as a run sees them.

Every process of a group runs the same code up to the end of training. What communicates
(`check_same`, `broadcast`, building, training, validating) must be called by all of them in the
same order.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from signal import SIGTERM

import keras
import tensorflow as tf

from melanoma_exp.data.loader import Loader
from melanoma_exp.distribution import collectives
from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.distribution.liveness import LivenessMonitor, LostWorkerError
from melanoma_exp.distribution.replicated import replicate
from melanoma_exp.distribution.sharding import ShardedLoader
from melanoma_exp.spec import UserError
from melanoma_exp.training.checkpoint import SavedCheckpoint
from melanoma_exp.training.signals import Signals

PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)


@dataclass(frozen=True)
class WorkerGroup:
    """This process, its devices and the other processes.

    Attributes:
        strategy: The model is built in its scope.
        cluster: All processes, where there are several.
        monitor: Probes the other processes.
    """

    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None
    monitor: LivenessMonitor | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process records the run."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def _has_replicas(self) -> bool:
        return self.strategy.num_replicas_in_sync > 1

    def replicate(self, model: keras.Model, signals: Signals) -> Signals:
        """Gives a compiled model steps for several replicas, where there are several.

        Returns:
            Signals to stop that all processes see at the same step.

        Raises:
            UserError: With float16 on several workers.
        """
        if not self._has_replicas:
            return signals
        if self.cluster and isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer):
            raise UserError(
                "train.precision=float16 decides in every process whether to take a step; use "
                "bfloat16 with several workers"
            )
        agreed = Signals()

        def stop() -> None:
            agreed.received = signals.received or SIGTERM

        replicate(model, lambda: signals.received is not None, stop)
        return agreed if self.cluster else signals

    def shard(self, loader: Loader) -> Loader | ShardedLoader:
        """Returns the loader of this process's shard of every batch."""
        if not self._has_replicas:
            return loader
        if self.cluster is None:
            return ShardedLoader(loader, self.strategy, 0, 1)
        processes = len(self.cluster.addresses)
        return ShardedLoader(loader, self.strategy, self.cluster.index, processes)

    def check_same(self, facts: Mapping[str, str]) -> None:
        """Checks that all processes run the same experiment on the same data.

        Args:
            facts: Digests by name.

        Raises:
            UserError: They do not; raised in every process.
        """
        if self.cluster is None:
            return
        if found := collectives.differences(self.strategy, self.cluster, facts):
            worker, name = found[0]
            raise UserError(
                f"distribution: {self.cluster.name(worker)} has another {name} than the chief; "
                "start all workers with the same options, code and data"
            )

    def broadcast(self, saved: SavedCheckpoint | None) -> SavedCheckpoint | None:
        """Returns the chief's checkpoint in every process."""
        if self.cluster is None:
            return saved
        head = json.dumps([saved.state if saved else None]).encode()
        (state,) = json.loads(collectives.broadcast(self.strategy, self.cluster, head))
        if state is None:
            return None
        mine = saved.arrays if saved else {}
        arrays = collectives.broadcast_arrays(self.strategy, self.cluster, mine)
        return SavedCheckpoint(saved.path if saved else Path(), arrays, state, ())

    @contextmanager
    def supervised(self, signals: Signals) -> Iterator[None]:
        """Defers signals, and raises one line if another process is lost.

        Raises:
            LostWorkerError: One is.
            Interrupted: A signal came and all have stopped, or there was nothing left to stop.
        """
        if self.monitor is None:
            yield
            return
        try:
            with signals.deferred():
                yield
        except (tf.errors.OpError, RuntimeError) as error:
            lost = self.monitor.find_lost(str(error), isinstance(error, PEER_ERRORS))
            if not lost:
                raise
            signals.raise_if_received()  # it left because all were asked to stop
            raise LostWorkerError(
                f"distribution: {lost}; training has stopped, its checkpoints are kept"
            ) from None
        except BaseException:
            self.monitor.stop()  # the others stop too, or report the lost worker
            raise

    def leave(self) -> None:
        """Lets the others leave, or waits for the chief, once training is over."""
        if self.monitor is None:
            return
        if self.is_chief:
            self.monitor.stop()
        else:
            self.monitor.wait_for_chief()

"""The processes and devices that train one model, as a run sees them.

Every process of a team runs the same code up to the end of training. What goes over the network
(`agree`, `share`, building, training, validating) must be called by all of them in the same order.
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
from melanoma_exp.distribution import exchange
from melanoma_exp.distribution.cluster import Cluster
from melanoma_exp.distribution.liveness import LostWorkerError, Watch
from melanoma_exp.distribution.replicated import replicate
from melanoma_exp.distribution.shard import Shard
from melanoma_exp.spec import UserError
from melanoma_exp.training.checkpoint import Saved
from melanoma_exp.training.signals import Signals

PEER_FAILED = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)


@dataclass(frozen=True)
class Team:
    """One process on one device, or what takes its place.

    Attributes:
        strategy: The model is built in its scope.
        cluster: All processes, where there are several.
        watch: Looks after the other processes.
    """

    strategy: tf.distribute.Strategy
    cluster: Cluster | None = None
    watch: Watch | None = None

    @property
    def is_chief(self) -> bool:
        """Whether this process records the run."""
        return self.cluster is None or self.cluster.is_chief

    @property
    def is_spread(self) -> bool:
        """Whether a model of this team's strategy is more than one process's own."""
        return self.strategy.num_replicas_in_sync > 1

    def replicate(self, model: keras.Model, signals: Signals) -> Signals:
        """Gives a compiled model steps for several replicas, where there are several.

        Returns:
            Signals to stop that all processes see at the same step.
        """
        if not self.is_spread:
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

    def divide(self, loader: Loader) -> Loader | Shard:
        """Returns the part of a feed that this process makes."""
        if not self.is_spread:
            return loader
        if self.cluster is None:
            return Shard(loader, self.strategy, 0, 1)
        return Shard(loader, self.strategy, self.cluster.index, len(self.cluster.addresses))

    def agree(self, facts: Mapping[str, str]) -> None:
        """Makes sure that all processes run the same experiment on the same data.

        Args:
            facts: Digests by name.

        Raises:
            UserError: They do not; every process says so.
        """
        if self.cluster is None:
            return
        if different := exchange.differing(self.strategy, self.cluster, facts):
            worker, name = different[0]
            raise UserError(
                f"distribution: {self.cluster.name(worker)} has another {name} than the chief; "
                "start all workers with the same options, code and data"
            )

    def share(self, saved: Saved | None) -> Saved | None:
        """Returns the chief's checkpoint in every process."""
        if self.cluster is None:
            return saved
        head = json.dumps([saved.state if saved else None]).encode()
        (state,) = json.loads(exchange.share(self.strategy, self.cluster, head))
        if state is None:
            return None
        arrays = exchange.share_arrays(self.strategy, self.cluster, saved.arrays if saved else {})
        return Saved(saved.place if saved else Path(), arrays, state, ())

    @contextmanager
    def together(self, signals: Signals) -> Iterator[None]:
        """Defers signals, and says in one line if another process is lost.

        Raises:
            LostWorkerError: One is.
            Interrupted: A signal came and all have stopped, or there was nothing left to stop.
        """
        if self.watch is None:
            yield
            return
        try:
            with signals.deferred():
                yield
        except (tf.errors.OpError, RuntimeError) as error:
            lost = self.watch.blame(str(error), isinstance(error, PEER_FAILED))
            if not lost:
                raise
            signals.raise_if_received()  # it went because all were asked to
            raise LostWorkerError(
                f"distribution: {lost}; training has stopped, its checkpoints are kept"
            ) from None
        except BaseException:
            self.watch.end()  # the others stop too, or will say who is lost
            raise

    def part(self) -> None:
        """Lets the others leave, or waits for the chief, once training is over."""
        if self.watch is None:
            return
        if self.is_chief:
            self.watch.end()
        else:
            self.watch.wait_for_chief()

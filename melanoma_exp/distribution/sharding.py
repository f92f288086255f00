"""The shard of every global batch that one process loads.

Which rows a batch has and how they are augmented is drawn by position in the epoch, so that any
number of processes see together exactly what one would.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_exp.data.loader import Loader
from melanoma_exp.data.prefetch import prefetched


def shard_bounds(replica: int, replicas: int, total: int) -> tuple[int, int]:
    """Returns the first row of a replica's shard of a batch and the row after its last.

    With at least as many rows as replicas no shard is empty, and sizes differ by one at most.
    """
    return replica * total // replicas, (replica + 1) * total // replicas


@dataclass(frozen=True)
class ShardedLoader:
    """The batches of one process.

    Attributes:
        loader: Loads rows of the global batches.
        strategy: Distributes the shards to the replicas.
        index: Index of this process.
        processes: How many there are.
    """

    loader: Loader
    strategy: tf.distribute.Strategy
    index: int
    processes: int

    @property
    def steps(self) -> int:
        """Steps an epoch."""
        return self.loader.steps

    @property
    def images(self) -> int:
        """Images an epoch, over all processes."""
        return self.loader.images

    def shard(self, epoch: int, step: int, replica: int) -> tuple[np.ndarray, ...]:
        """Returns a replica's shard of a global batch.

        Returns:
            Images uint8 (r, h, w, 3), targets int64 (r,) or float32 (r, classes), loss weights
            float32 (r,), and position int64 (3,): first row, number of rows, rows of the whole
            batch. A replica without rows gets another's first row as a placeholder, and number 0.
        """
        total = min(self.loader.batch_size, self.images - step * self.loader.batch_size)
        first, last = shard_bounds(replica, self.strategy.num_replicas_in_sync, total)
        position = np.array([first, last - first, total], np.int64)
        if first == last:
            first, last = 0, 1
        return *self.loader.batch(epoch, step, (first, last)), position

    def dataset(self, epoch: int = 0, first: int = 0) -> Any:
        """Returns the distributed batches of an epoch, from step `first` on."""
        replicas = self.strategy.num_replicas_in_sync // self.processes

        def make(number: int) -> tuple[np.ndarray, ...]:
            """Returns an element; they go to the replicas of this process in turn."""
            step, replica = divmod(number, replicas)
            return self.shard(epoch, step, self.index * replicas + replica)

        specs = [*self.loader.specs, tf.TensorSpec((3,), tf.int64)]
        return self.strategy.distribute_datasets_from_function(
            lambda context: prefetched(make, first * replicas, self.steps * replicas, specs)
        )

"""The part of every global batch that one process makes.

Which rows a batch has and how they vary is drawn by position in the epoch, so that any number of
processes see together exactly what one would.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from melanoma_exp.data.loader import Loader, prefetched


def rows_of(replica: int, replicas: int, total: int) -> tuple[int, int]:
    """Returns the first row of a replica's part of a batch and the row after its last.

    With at least as many rows as replicas no part is empty, and sizes differ by one at most.
    """
    return replica * total // replicas, (replica + 1) * total // replicas


@dataclass(frozen=True)
class Shard:
    """The batches of one process.

    Attributes:
        loader: Of the global batches.
        strategy: Distributes them.
        index: Which process this is.
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

    def part(self, epoch: int, step: int, replica: int) -> tuple[np.ndarray, ...]:
        """Returns a replica's part of a global batch.

        Returns:
            Images uint8 (r, h, w, 3), labels int64 (r,), loss weights float32 (r,), and place int64
            (3,): the first row, the number of rows, the rows of the whole batch. Where there is no
            row for this replica, one of the others' stands in, and the number is 0.
        """
        total = min(self.loader.batch_size, self.images - step * self.loader.batch_size)
        first, last = rows_of(replica, self.strategy.num_replicas_in_sync, total)
        place = np.array([first, last - first, total], np.int64)
        if first == last:
            first, last = 0, 1
        return *self.loader.batch(epoch, step, (first, last)), place

    def dataset(self, epoch: int = 0, first: int = 0) -> Any:
        """Returns the distributed batches of an epoch, from step `first` on."""
        replicas = self.strategy.num_replicas_in_sync // self.processes

        def make(number: int) -> tuple[np.ndarray, ...]:
            """Returns an element; they go to the replicas of this process in turn."""
            step, replica = divmod(number, replicas)
            return self.part(epoch, step, self.index * replicas + replica)

        specs = [*self.loader.specs, tf.TensorSpec((3,), tf.int64)]
        return self.strategy.distribute_datasets_from_function(
            lambda context: prefetched(make, first * replicas, self.steps * replicas, specs)
        )

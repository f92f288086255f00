"""The option `single`."""

from typing import TYPE_CHECKING, Literal

from melanoma_exp.distribution.base import Distribution

if TYPE_CHECKING:
    from melanoma_exp.distribution.worker_group import WorkerGroup


class Single(Distribution):
    """One device: the first GPU if there is one, else the CPU."""

    kind: Literal["single"]

    def create(self, batch_size: int) -> "WorkerGroup":
        """Returns a group of this process alone; any `batch_size` fits."""
        import tensorflow as tf

        from melanoma_exp.distribution.worker_group import WorkerGroup

        return WorkerGroup(tf.distribute.get_strategy())

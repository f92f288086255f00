"""The base of the options of the group `distribution`: over which devices a step is spread."""

from typing import TYPE_CHECKING

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    import tensorflow as tf

    from melanoma_exp.distribution.worker_group import WorkerGroup


class Distribution(Spec):
    """Creates the worker group in whose strategy the model is built.

    The batch size is global: every strategy sees the same images in the same steps.

    Attributes:
        kind: Name of the option; a Literal in each class.
    """

    kind: str

    def check_environment(self) -> None:
        """Checks what can be checked before TensorFlow is imported.

        Raises:
            UserError: Something that the option needs is missing.
        """

    def is_chief(self) -> bool:
        """Whether this process records the run; asked before the workers are connected.

        Raises:
            UserError: As of `check_environment`.
        """
        return True

    def create(self, batch_size: int) -> "WorkerGroup":
        """Connects this process to its devices and to the other workers.

        Args:
            batch_size: The global one.

        Raises:
            UserError: Devices or workers are missing, or the batch cannot be divided among them.
        """
        raise NotImplementedError


def check_divisible(batch_size: int, strategy: "tf.distribute.Strategy") -> None:
    """Refuses a global batch that does not divide evenly.

    Raises:
        UserError: It does not.
    """
    replicas = strategy.num_replicas_in_sync
    if batch_size % replicas:
        raise UserError(
            f"train.batch_size={batch_size} is not divisible by {replicas} replicas; "
            f"use {max(batch_size // replicas, 1) * replicas}"
        )

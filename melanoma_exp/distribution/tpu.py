"""The option `tpu`."""

from typing import TYPE_CHECKING, Literal

from melanoma_exp.distribution.base import Distribution, check_divisible
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.distribution.worker_group import WorkerGroup


class Tpu(Distribution):
    """All cores of a TPU.

    Attributes:
        name: Name of the TPU; null or `local` is the one of this machine.
    """

    kind: Literal["tpu"]
    name: str | None

    def create(self, batch_size: int) -> "WorkerGroup":
        """Returns a group of this process with the TPU's cores.

        Args:
            batch_size: The global one.

        Raises:
            UserError: There is no TPU, or the batch cannot be divided among its cores.
        """
        import tensorflow as tf

        from melanoma_exp.distribution.worker_group import WorkerGroup

        try:
            resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=self.name or "local")
            tf.config.experimental_connect_to_cluster(resolver)
            tf.tpu.experimental.initialize_tpu_system(resolver)
            strategy = tf.distribute.TPUStrategy(resolver)
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"distribution.name: no TPU {self.name or 'on this machine'} ({reason}); it needs "
                "a TPU machine with its build of TensorFlow; use distribution=single"
            ) from None
        check_divisible(batch_size, strategy)
        return WorkerGroup(strategy)

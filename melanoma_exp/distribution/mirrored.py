"""The option `mirrored`."""

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from melanoma_exp.distribution.base import Distribution, check_divisible
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.distribution.worker_group import WorkerGroup


class Mirrored(Distribution):
    """One replica a device of this machine.

    Attributes:
        devices: How many; null is all GPUs.
        virtual_cpus: Splits the CPU into that many devices, to try out what GPUs would do.
    """

    kind: Literal["mirrored"]
    devices: int | None = Field(ge=1)
    virtual_cpus: bool

    def create(self, batch_size: int) -> "WorkerGroup":
        """Returns a group of this process with its devices.

        Args:
            batch_size: The global one.

        Raises:
            UserError: There are not enough devices, or the batch cannot be divided among them.
        """
        import tensorflow as tf

        from melanoma_exp.distribution.worker_group import WorkerGroup

        if self.virtual_cpus:
            names = _virtual_cpus(self.devices or 2)
        else:
            names = [f"GPU:{k}" for k in range(len(tf.config.list_physical_devices("GPU")))]
        if not names or len(names) < (self.devices or 1):
            raise UserError(
                f"distribution.devices: wanted {self.devices or 'all'} GPUs, this machine has "
                f"{len(names)}; use distribution=single, or distribution.virtual_cpus=true to try"
            )
        strategy = tf.distribute.MirroredStrategy(names[: self.devices])
        check_divisible(batch_size, strategy)
        return WorkerGroup(strategy)


def _virtual_cpus(count: int) -> list[str]:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
    try:
        tf.config.set_logical_device_configuration(cpu, devices)
    except (RuntimeError, ValueError):  # TensorFlow has started: the devices are fixed
        pass
    return [f"CPU:{k}" for k in range(len(tf.config.list_logical_devices("CPU")))]

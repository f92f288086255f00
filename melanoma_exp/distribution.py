"""Over which devices a training step is spread.

`create` returns the tf.distribute.Strategy in whose scope the model is built and compiled. The
batch size is global: every strategy sees the same images in the same steps.
"""

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    import tensorflow as tf


class Single(Spec):
    """One device: the first GPU if there is one, else the CPU."""

    kind: Literal["single"]

    def create(self, batch_size: int) -> "tf.distribute.Strategy":
        """Returns the strategy; `batch_size` always fits."""
        import tensorflow as tf

        return tf.distribute.get_strategy()


class Mirrored(Spec):
    """One replica a device of this machine, gradients averaged over all of them.

    `devices: null` uses all GPUs. `virtual_cpus: true` splits the CPU into that many devices, to
    try out what GPUs would do.
    """

    kind: Literal["mirrored"]
    devices: int | None = Field(ge=1)
    virtual_cpus: bool

    def create(self, batch_size: int) -> "tf.distribute.Strategy":
        """Returns the strategy.

        Args:
            batch_size: The global one.

        Raises:
            UserError: There are not enough devices, or the batch cannot be divided among them.
        """
        import tensorflow as tf

        if self.virtual_cpus:
            names = _virtual_cpus(self.devices or 2)
        else:
            names = [f"GPU:{k}" for k in range(len(tf.config.list_physical_devices("GPU")))]
        if not names or len(names) < (self.devices or 1):
            raise UserError(
                f"distribution.devices: wanted {self.devices or 'all'} GPUs, this machine has "
                f"{len(names)}; use distribution=single, or distribution.virtual_cpus=true to try"
            )
        names = names[: self.devices]
        if batch_size % len(names):
            raise UserError(
                f"train.batch_size={batch_size} is not divisible by {len(names)} replicas; "
                f"use {max(batch_size // len(names), 1) * len(names)}"
            )
        return tf.distribute.MirroredStrategy(names)


def _virtual_cpus(count: int) -> list[str]:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except (RuntimeError, ValueError):  # TensorFlow has started: the devices are what they are
        pass
    return [f"CPU:{k}" for k in range(len(tf.config.list_logical_devices("CPU")))]


AnyDistribution = Annotated[Single | Mirrored, Field(discriminator="kind")]

"""The options of the group `distribution`: over which devices a training step is spread.

`create` returns the team whose strategy the model is built in. The batch size is global: every
strategy sees the same images in the same steps.
"""

import os
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from melanoma_exp.distribution import cluster
from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    from melanoma_exp.distribution.team import Team


class Distribution(Spec):
    """Base of all options."""

    def look_around(self) -> None:
        """Makes sure that what the option needs is there, as far as can be told at once."""


class Single(Distribution):
    """One device: the first GPU if there is one, else the CPU."""

    kind: Literal["single"]

    def create(self, batch_size: int) -> "Team":
        """Returns this process alone; `batch_size` always fits."""
        import tensorflow as tf

        from melanoma_exp.distribution.team import Team

        return Team(tf.distribute.get_strategy())


class Mirrored(Distribution):
    """One replica a device of this machine, gradients averaged over all of them.

    `devices: null` uses all GPUs. `virtual_cpus: true` splits the CPU into that many devices, to
    try out what GPUs would do.
    """

    kind: Literal["mirrored"]
    devices: int | None = Field(ge=1)
    virtual_cpus: bool

    def create(self, batch_size: int) -> "Team":
        """Returns this process with all its devices.

        Args:
            batch_size: The global one.

        Raises:
            UserError: There are not enough devices, or the batch cannot be divided among them.
        """
        import tensorflow as tf

        from melanoma_exp.distribution.team import Team

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
        return Team(tf.distribute.MirroredStrategy(names))


class MultiWorker(Distribution):
    """Processes of one or several machines, each with all its GPUs, or its CPU.

    TF_CONFIG or Slurm says who they are. Each makes its own part of every batch; the first of them
    records the run, the others only train.
    """

    kind: Literal["multi_worker"]
    start_timeout: float = Field(gt=0)

    def look_around(self) -> None:
        """Makes sure that TF_CONFIG or Slurm says who the workers are.

        Raises:
            UserError: It does not.
        """
        cluster.from_environment()
        # What TensorFlow prints of peers that leave comes as an exception too, where it matters.
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

    def create(self, batch_size: int) -> "Team":
        """Returns this process with all others; blocks until they are there.

        Args:
            batch_size: The global one.

        Raises:
            UserError: TF_CONFIG is missing or broken, or there are more replicas than images.
        """
        workers = cluster.from_environment()
        from melanoma_exp.distribution import joining

        return joining.join(workers, self.start_timeout, batch_size)


class Tpu(Distribution):
    """All cores of a TPU, by its name; null or `local` is the one of this machine."""

    kind: Literal["tpu"]
    name: str | None

    def create(self, batch_size: int) -> "Team":
        """Returns this process with the TPU.

        Args:
            batch_size: The global one.

        Raises:
            UserError: There is no TPU, or the batch cannot be divided among its cores.
        """
        from melanoma_exp.distribution import joining

        return joining.connect_tpu(self.name, batch_size)


class ParameterServer(Distribution):
    """Refused: kept so that whoever asks for it is told why."""

    kind: Literal["parameter_server"]

    def look_around(self) -> None:
        """Refuses.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "distribution=parameter_server applies gradients whenever they arrive, so no run could "
            "be repeated, and Keras 3 cannot train with it; use distribution=multi_worker"
        )

    def create(self, batch_size: int) -> "Team":
        """Is never called."""
        raise NotImplementedError


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


AnyDistribution = Annotated[
    Single | Mirrored | MultiWorker | Tpu | ParameterServer, Field(discriminator="kind")
]

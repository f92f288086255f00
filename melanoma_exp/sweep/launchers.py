"""The options `hydra/launcher`: where the jobs of a sweep run."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from melanoma_exp.spec import Spec, UserError, validate

Minutes = Annotated[float, Field(gt=0)]


class Local(Spec):
    """This machine: `slots` jobs at once, each in a process of its own."""

    kind: Literal["local"]
    slots: int | None = Field(ge=1)
    threads: int | None = Field(ge=1)
    timeout_minutes: Minutes | None
    grace_seconds: float = Field(ge=0)

    def check(self) -> None:
        """Needs nothing."""


class Slurm(Spec):
    """A Slurm cluster, or with `cluster=local` submitit on this machine."""

    kind: Literal["slurm"]
    cluster: Literal["slurm", "local"]
    timeout_minutes: Minutes
    threads: int = Field(ge=1)
    gpus: int = Field(ge=0)
    memory_gb: float = Field(gt=0)
    partition: str | None
    account: str | None
    at_once: int = Field(ge=1)
    requeued: int = Field(ge=0)
    setup: tuple[str, ...]
    extra: dict[str, Any]

    def check(self) -> None:
        """Checks that jobs can be submitted from here.

        Raises:
            UserError: submitit is not installed, or there is no sbatch.
        """
        import importlib.util
        import shutil

        if importlib.util.find_spec("submitit") is None:
            raise UserError(
                "hydra/launcher=slurm: needs submitit, which is not installed: "
                "pip install 'melanoma_exp[sweep]'"
            )
        if self.cluster == "slurm" and shutil.which("sbatch") is None:
            raise UserError(
                "hydra/launcher=slurm: there is no command sbatch on this machine; start the sweep "
                "where jobs are submitted, or use hydra/launcher=local"
            )


AnyLauncher = Annotated[Local | Slurm, Field(discriminator="kind")]
_ADAPTER: TypeAdapter[Local | Slurm] = TypeAdapter(AnyLauncher)


def parse(content: Mapping[str, Any]) -> Local | Slurm:
    """Checks the options of a launcher.

    Raises:
        UserError: A line for each mistake.
    """
    return validate(_ADAPTER, dict(content), "hydra.launcher")

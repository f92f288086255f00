"""Hydra's plugin for the launchers of melanoma_exp: `hydra/launcher=local` and `slurm`.

Hydra finds plugins in this namespace package alone, and imports them whenever it starts: nothing
heavy is imported at the top.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the options of a plugin without OmegaConf's types."""
    return {
        key: OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
        for key, value in options.items()
    }


class _Ended(JobReturn):
    """The end of a job as sweepers see it; the value of a failed one raises its error."""

    @property
    def return_value(self) -> Any:
        """The score of the job."""
        if self.status == JobStatus.COMPLETED:
            return self._return_value
        raise self._return_value


class LocalLauncher(Launcher):
    """Jobs on this machine."""

    def __init__(self, **options: Any) -> None:
        self._options = plain(options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores what Hydra gives."""
        self._context, self._config = hydra_context, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
    ) -> Sequence[JobReturn]:
        """Checks all jobs, runs them and returns the end of each."""
        from melanoma_exp.sweep import launch, launchers, plan
        from melanoma_exp.sweep.folder import locked
        from melanoma_exp.sweep.queue import FixedQueue

        launcher = launchers.parse(self._options)
        numbers = range(initial_job_idx, initial_job_idx + len(job_overrides))
        composed = [
            self._compose(number, list(words))
            for number, words in zip(numbers, job_overrides, strict=True)
        ]
        failure: launch.JobsFailedError | None = None
        folder = Path(str(self._config.hydra.sweep.dir))
        with locked(folder):
            sweep = plan.plan(folder, launcher, composed)
            try:
                launch.run(sweep, FixedQueue(launch.missing(sweep.select(numbers).jobs)))
            except launch.JobsFailedError as error:
                failure = error
        returned = []
        for job in (job for job in sweep.jobs if job.number in numbers):
            status = job.status()
            ended = _Ended(overrides=job.overrides, working_dir=str(job.folder))
            finished = status.state == "finished"
            ended.status = JobStatus.COMPLETED if finished else JobStatus.FAILED
            ended._return_value = status.score if finished else failure
            returned.append(ended)
        return returned

    def _compose(self, number: int, words: list[str]) -> Any:
        from melanoma_exp.sweep import plan

        composed = self._context.config_loader.load_sweep_config(self._config, words)
        with open_dict(composed):
            composed.hydra.job.id = composed.hydra.job.num = number
        hydra = composed.hydra
        subfolder = str(OmegaConf.select(composed, "hydra.sweep.subdir"))
        choice = hydra.runtime.choices.get("experiment") or ""
        overrides = list(hydra.overrides.task)
        with open_dict(composed):
            del composed["hydra"]
        content: Any = OmegaConf.to_container(composed, resolve=True)
        return plan.Composed(number, overrides, content, choice, subfolder)


class SlurmLauncher(LocalLauncher):
    """Jobs on a Slurm cluster."""

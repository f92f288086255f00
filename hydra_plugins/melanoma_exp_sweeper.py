"""Hydra's plugin for the searches of melanoma_exp: `hydra/sweeper=optuna`.

Hydra finds plugins in this namespace package alone, and imports them whenever it starts: nothing
heavy is imported at the top. Hydra's own plugin pins an Optuna that cannot open a storage with
today's SQLAlchemy, waits for the slowest job of a batch and cannot prune.
"""

from pathlib import Path
from typing import Any

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.melanoma_exp_launcher import plain


class OptunaSweeper(Sweeper):
    """A search: jobs are drawn one by one, from what earlier ones scored."""

    def __init__(self, **options: Any) -> None:
        self._options = plain(options)

    def setup(
        self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig
    ) -> None:
        """Stores what Hydra gives."""
        self._config = config

    def sweep(self, arguments: list[str]) -> None:
        """Runs the search.

        Args:
            arguments: The overrides of the command line; they win over `params`.
        """
        from melanoma_exp.cli import compose, overrides
        from melanoma_exp.spec import UserError
        from melanoma_exp.sweep import launch, launchers
        from melanoma_exp.sweep.search import config
        from melanoma_exp.system.installation import conf_folder

        conf = conf_folder()
        options = config.parse(self._options)
        options.check()
        from melanoma_exp.sweep.search import queue as search_queue  # imports Optuna

        launcher: Any = OmegaConf.to_container(self._config.hydra.launcher)
        if not str(launcher.pop("_target_")).startswith("hydra_plugins.melanoma_exp_launcher."):
            raise UserError("hydra/sweeper=optuna: jobs are launched by local or slurm")
        drawn = [f"{key}={value}" for key, value in options.params.items()]
        fixed, space = overrides.read_space(overrides.expand_globs(conf, [*drawn, *arguments]))
        search = config.Search(options=options, words=tuple(fixed), space=space)
        with search_queue.begin(
            search,
            Path(str(self._config.hydra.sweep.dir)),
            launchers.parse(launcher),
            lambda words: compose.compose(conf, words),
        ) as queue:
            launch.run(queue.begin(), queue)

"""The command line: a first word without `=` is a verb, everything else is Hydra's."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from melanoma_exp.diskspace import why_unwritable
from melanoma_exp.installation import conf_folder
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.verbs import VERBS


class SweepJobError(Exception):
    """A job of a sweep failed and has told why; the other jobs went on."""


def main() -> None:
    """Runs the command line.

    Mistakes of the user end with one line each and exit code 2, a signal with 128 + its number,
    anything else with a traceback and exit code 1.
    """
    arguments = sys.argv[1:]
    # Read by TensorFlow when it is imported, also by the processes that sweeps start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        _dispatch(arguments)
    except (UserError, OSError) as error:
        for line in _mistake(error).lines:
            print(line, file=sys.stderr)
        sys.exit(2)
    except SweepJobError as error:
        print(error, file=sys.stderr)
        sys.exit(1)
    except BaseException as error:
        signum = getattr(error, "signum", 2 if isinstance(error, KeyboardInterrupt) else None)
        if signum is None:
            raise
        print("interrupted: what was logged so far is kept", file=sys.stderr)
        if run_id := getattr(error, "run_id", ""):
            print(f"go on with: melanoma-exp resume {run_id}", file=sys.stderr)
        sys.exit(128 + signum)


def _dispatch(arguments: list[str]) -> None:
    if arguments and "=" not in arguments[0] and not arguments[0].startswith("-"):
        _verb(arguments[0])(arguments[1:])
    elif {"-h", "--help"} & set(arguments):
        from melanoma_exp import helptext

        helptext.show(conf_folder(), VERBS)
    else:
        _compose_and_run()


def _mistake(error: UserError | OSError) -> UserError:
    """Returns what the user can mend, a full disk or a missing permission included."""
    if isinstance(error, UserError):
        return error
    why = why_unwritable(error)
    if not why:
        raise error
    return UserError(why)


def _verb(name: str) -> Callable[[list[str]], None]:
    if name not in VERBS:
        guess = did_you_mean(name, VERBS)
        raise UserError(
            f"{name}: there is no such verb (known: {', '.join(VERBS)}){guess} "
            "Options have the form key=value; --help lists them."
        )
    return VERBS[name]


def _compose_and_run() -> None:
    """Hands the command line to Hydra."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us whole; we say them in one line
    decorated: Any = hydra.main(
        version_base="1.3", config_path=str(conf_folder()), config_name="config"
    )

    mistakes: list[UserError] = []

    @decorated
    def job(composed: DictConfig) -> float | None:
        from hydra.core.hydra_config import HydraConfig
        from hydra.types import RunMode

        if HydraConfig.get().mode == RunMode.MULTIRUN:
            return _sweep_job(composed)
        try:
            return _job(composed, {}, in_fresh_process=False)
        except (UserError, OSError) as error:
            mistakes.append(_mistake(error))  # Hydra would announce it in its own words
            return None

    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        from melanoma_exp import composition

        raise UserError(*composition.diagnose(conf_folder(), sys.argv[1:], error)) from error
    for mistake in mistakes:
        raise mistake


def _sweep_job(composed: Any) -> float | None:
    """Runs one job of a sweep, in a fresh process: TensorFlow keeps state a process long.

    Raises:
        SweepJobError: It failed and has told why. Hydra goes on with the other jobs.
    """
    from hydra.core.hydra_config import HydraConfig

    hydra_config = HydraConfig.get()
    number = str(hydra_config.job.num)
    tags = {"sweep": "/".join(Path(hydra_config.sweep.dir).parts[-2:]), "job": number}
    # Other launchers start a process a job themselves.
    shares_process = hydra_config.launcher._target_.endswith("BasicLauncher")
    try:
        return _job(composed, tags, in_fresh_process=shares_process)
    except Exception as error:
        told = error.lines if isinstance(error, UserError) else traceback.format_exception(error)
        print(f"job {number} failed:", *told, sep="\n  ", file=sys.stderr)
        raise SweepJobError(f"job {number} of the sweep failed, see above") from None


def _job(composed: Any, tags: dict[str, str], in_fresh_process: bool) -> float | None:
    """Runs one job and returns what sweepers maximise: balanced accuracy on validation."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf

    from melanoma_exp import config

    content: Any = OmegaConf.to_container(composed, resolve=True)
    experiment = config.parse(content)
    from melanoma_exp import resuming, runner  # not before the config is known to be good

    hydra_config = HydraConfig.get()
    if "sweep" in tags and not experiment.name:
        name = _told_apart(experiment.run_name, list(hydra_config.overrides.task))
        experiment = experiment.model_copy(update={"name": name})
    runtime = hydra_config.runtime
    if runtime.choices.get("experiment"):
        tags = {**tags, "experiment": runtime.choices["experiment"]}
    folder = Path(runtime.output_dir)
    begun = resuming.begun_in(folder)
    if begun and begun.scores:
        print(f"{folder}: run {begun.run_id} has finished here already")
        return begun.scores["val"]["balanced_accuracy"]
    start = runner.run_in_fresh_process if in_fresh_process else runner.run
    scores = start(experiment, folder, tags, begun.run_id if begun else None)
    return scores["val"]["balanced_accuracy"] if scores else None


def _told_apart(name: str, overrides: list[str]) -> str:
    """Returns a run name with the values that were set by hand, those that it says not yet.

    Data and places are the same for a whole sweep, as a rule; a seed or fold is in the name.
    """
    silent = ("dataset.", "split.fold=", "tracking.", "cache.", "hydra.", "+", "~")
    words = [word.partition("=") for word in overrides if not word.startswith(silent)]
    told = [f"{key.rpartition('.')[2]}={value}" for key, _, value in words if "." in key]
    return " ".join([name, *told])[:100].translate(str.maketrans("/\\", "__")).strip()

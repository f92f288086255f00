"""The command line: a first word without `=` is a command, everything else is Hydra's."""

import os
import shlex
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from melanoma_exp.cli import completion
from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.distribution.liveness import EXIT_CODE
from melanoma_exp.report import streams
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system import exit_status, watchdog
from melanoma_exp.system.installation import conf_folder

GRACE = 90.0  # seconds that a worker has to end by itself when its launcher is gone


def main() -> None:
    """Runs the command line.

    Mistakes by the user end with one line each and exit code 2, a signal with 128 + its number,
    anything else with a traceback and exit code 1.
    """
    arguments = sys.argv[1:]
    streams.outlive_terminal()
    # Read by TensorFlow when it is imported, also by the processes that sweeps start.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    watchdog.exit_with_launcher(GRACE)
    code = exit_status.exit_code(lambda: _dispatch(arguments))
    if code == EXIT_CODE:
        # Everything is printed and recorded. TensorFlow would wait for the lost worker at exit.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    if code:
        sys.exit(code)


def _dispatch(arguments: list[str]) -> None:
    if completion.is_query(arguments):
        line = completion.typed()
        print(*completion.suggest(line, COMMANDS), sep="\n")
        if completion.is_behind_command(line, COMMANDS):
            return
    name = next((w for w in arguments[:1] if "=" not in w and not w.startswith("-")), "")
    if name in COMMANDS:
        COMMANDS[name](arguments[1:])
    elif arguments == ["--version"]:
        _show_version()
    elif {"-h", "--help"} & set(arguments):
        _help(name, arguments)
    elif name:
        raise _unknown(name)
    else:
        _compose_and_run()


def _show_version() -> None:
    """Prints the version, and those of what decides figures."""
    from importlib.metadata import version

    from melanoma_exp import __version__

    used = ("tensorflow", "keras", "mlflow", "hydra-core", "numpy")
    versions = [f"Python {sys.version.split()[0]}", *(f"{name} {version(name)}" for name in used)]
    print(f"melanoma_exp {__version__} ({', '.join(versions)})")


def _help(name: str, arguments: list[str]) -> None:
    """Shows one group, or without a name all groups and commands; with named extensions."""
    from melanoma_exp.cli import help
    from melanoma_exp.system.extensions import loading

    loading.load_words(arguments)
    roots = [conf_folder(), *loading.conf_folders()]
    if not name:
        return help.show(roots, COMMANDS)
    if name not in help.groups(roots):
        raise _unknown(name)
    from melanoma_exp import config  # its import makes all groups known

    help.show_group(roots, name, config.kinds(name))


def _unknown(name: str) -> UserError:
    guess = did_you_mean(name, COMMANDS)
    return UserError(
        f"{name}: there is no such command (known: {', '.join(COMMANDS)}){guess} "
        "Options have the form key=value; --help lists them."
    )


def _compose_and_run() -> None:
    """Hands the command line to Hydra."""
    import hydra
    from hydra.errors import HydraException
    from omegaconf import DictConfig
    from omegaconf.errors import OmegaConfBaseException

    from melanoma_exp.cli import compose, overrides, unsafe
    from melanoma_exp.cli.words import expand_home
    from melanoma_exp.system.extensions import loading

    os.environ["HYDRA_FULL_ERROR"] = "1"  # full errors reach us; we report them in one line
    decorated: Any = hydra.main(
        version_base="1.3", config_path=str(conf_folder()), config_name="config"
    )
    errors: list[Exception] = []

    @decorated
    def job(composed: DictConfig) -> float | None:
        try:
            return _job(composed)
        except (UserError, OSError) as error:
            errors.append(error)  # Hydra would print it in its own words
            return None

    if completion.is_query(sys.argv):
        with suppress(UserError, ValueError):  # a word may be half typed
            loading.load_words(shlex.split(completion.typed()))
    unsafe.refuse(sys.argv[1:])
    words = loading.load_words(expand_home(sys.argv[1:]))
    compose.refuse_null(conf_folder(), words)
    words = overrides.expand_globs(conf_folder(), words)
    sys.argv[1:] = words
    unsafe.refuse_written(words)
    try:
        job()
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(*compose.diagnose(conf_folder(), words, error)) from error
    if errors:
        raise errors[0]


def _job(composed: Any) -> float | None:
    """Runs one job and returns what sweepers maximise: the objective."""
    from hydra.core.hydra_config import HydraConfig
    from hydra.types import RunMode
    from omegaconf import OmegaConf

    from melanoma_exp import config

    hydra_config = HydraConfig.get()
    if hydra_config.mode == RunMode.MULTIRUN:
        raise UserError(
            f"hydra/launcher={hydra_config.runtime.choices['hydra/launcher']}: sweeps are launched "
            "by local or slurm, which check all jobs first and can resume them"
        )
    content: Any = OmegaConf.to_container(composed, resolve=True)
    experiment = config.parse(content)
    from melanoma_exp.run import runner  # not before the config is known to be good

    choice = hydra_config.runtime.choices.get("experiment")
    tags = {"experiment": choice} if choice else {}
    scores = runner.start(experiment, Path(hydra_config.runtime.output_dir), tags)
    return experiment.objective.score(scores) if scores else None

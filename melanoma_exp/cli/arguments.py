"""The words after a command: options and names are argparse's, `key=value` is Hydra's."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.config import Experiment

READS_RUN = """

tracking=... and cache... say where runs are recorded and images are cached. A run that used options
of your own needs their file again: extend=my_lab.py"""
SWEEP = "a sweep: DATE/TIME or part of it, its folder, or the id of its run"
STORAGE = ("tracking=", "tracking.", "cache.", "extend=")
_FOLDER = re.compile(r"tracking\.folder=([\w./-]+)")  # anything else is Hydra's to read
_OVERRIDE = re.compile(r"[+~]*[A-Za-z_][\w.@/]*=")


class Parser(argparse.ArgumentParser):
    """Parses the words of one command; a mistake is one line and exit code 2."""

    def __init__(
        self, command: str, description: str | None, example: str, reads_run: bool = False
    ) -> None:
        """Prepares the parser; arguments are added as to any other.

        Args:
            command: Its name.
            description: Its docstring.
            example: A command line to learn from.
            reads_run: Whether it rebuilds what a run recorded.
        """
        super().__init__(
            f"melanoma-exp {command}",
            description=(description or "").split(": ", 1)[-1],
            epilog=f"example: {example}" + (READS_RUN if reads_run else ""),
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._reads_run = reads_run

    def error(self, message: str) -> NoReturn:
        """Reports a mistake in one line."""
        raise UserError(f"{self.prog.split()[-1]}: {message}; see {self.prog} --help")

    def split(self, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """Returns the command's own arguments and the `key=value` words.

        Where only storage can be overridden, a word that names a file is the file: `k=v.jpg`,
        `-1.jpg`.
        """
        overrides = [word for word in words if _OVERRIDE.match(word) and not self._is_file(word)]
        own = [word for word in words if word not in overrides]
        named = [f"./{w}" if w.startswith("-") and self._is_file(w) else w for w in own]
        return self.parse_args(named), overrides

    def _is_file(self, word: str) -> bool:
        return self._reads_run and not word.startswith(STORAGE) and os.path.lexists(word)


def sweep_name(text: str) -> str:
    """Returns the name of a sweep whose folder is given, and anything else as it is.

    Raises:
        UserError: What the folder says about its sweep cannot be read.
    """
    from melanoma_exp.sweep import folder

    path = Path(text).expanduser()
    return folder.open_sweep(path).name if (path / folder.SWEEP).exists() else text


def check_run_ids(run_ids: Sequence[str], overrides: Sequence[str]) -> None:
    """Refuses ids that the local store does not have, before anything that takes time is imported.

    Where runs are recorded elsewhere, or the store cannot be read so, whoever opens it finds out.

    Args:
        run_ids: Of the command line.
        overrides: Of tracking, cache and extend; any other leaves it to whoever reads them.

    Raises:
        UserError: A line for each id that is not there.
    """
    from melanoma_exp.tracking import place
    from melanoma_exp.tracking.store import DEFAULT_FOLDER

    folder = DEFAULT_FOLDER
    for word in overrides:
        if named := _FOLDER.fullmatch(word):
            folder = Path(named[1])
        elif word != "tracking=local" and not word.startswith(("cache.", "extend=")):
            return
    if not (folder / place.DATABASE).exists():
        return
    if lines := [
        place.no_run(f"sqlite:///{(folder / place.DATABASE).as_posix()}", run_id)
        for run_id in dict.fromkeys(run_ids)
        if not place.has_run(folder, run_id)
    ]:
        raise UserError(*lines)


def compose_storage(command: str, overrides: list[str]) -> "Experiment":
    """Returns the default experiment with other tracking and cache: where runs are recorded.

    Args:
        command: Named in the message.
        overrides: Of `tracking`, `cache` and `extend` alone.

    Raises:
        UserError: An override is of another group, or wrong.
    """
    strange = [o for o in overrides if not o.startswith(STORAGE)]
    if strange:
        raise UserError(
            f"{command}: takes tracking, cache and extend overrides only (got {' '.join(strange)})"
        )
    return compose_experiment(overrides)


def compose_experiment(overrides: list[str]) -> "Experiment":
    """Returns the experiment that the overrides describe."""
    from melanoma_exp import config
    from melanoma_exp.cli import compose
    from melanoma_exp.system.installation import conf_folder

    return config.parse(compose.compose(conf_folder(), overrides))

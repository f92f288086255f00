"""Words after a verb: options and names are argparse's, `key=value` is Hydra's."""

import argparse
import re
from typing import TYPE_CHECKING, Any, NoReturn

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.config import Experiment

_OVERRIDE = re.compile(r"[+~]*[A-Za-z_][\w.@/]*=")


class Parser(argparse.ArgumentParser):
    """Parses the words of one verb; a mistake is one line and exit code 2."""

    def __init__(self, verb: str, description: str | None, example: str) -> None:
        """Prepares the parser; arguments are added as to any other.

        Args:
            verb: Its name.
            description: Its docstring.
            example: A command line to learn from.
        """
        super().__init__(
            f"melanoma-exp {verb}",
            description=(description or "").split(": ", 1)[-1],
            epilog=f"example: {example}",
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Tells a mistake in one line."""
        raise UserError(f"{self.prog.split()[-1]}: {message}; see {self.prog} --help")

    def split(self, words: list[str]) -> tuple[argparse.Namespace, list[str]]:
        """Returns the verb's own arguments and the `key=value` words.

        A file whose name looks like an override is meant by a path: `./a=b.jpg`.
        """
        overrides = [word for word in words if _OVERRIDE.match(word)]
        return self.parse_args([word for word in words if word not in overrides]), overrides


def compose_place(verb: str, overrides: list[str]) -> "Experiment":
    """Returns the default experiment with other tracking and cache: where runs are kept.

    Args:
        verb: Named in the message.
        overrides: Of `tracking` and `cache` alone.

    Raises:
        UserError: An override is of another group, or wrong.
    """
    strange = [o for o in overrides if not o.startswith(("tracking", "cache."))]
    if strange:
        raise UserError(
            f"{verb}: takes tracking and cache overrides only (got {' '.join(strange)})"
        )
    return compose(overrides)


def compose(overrides: list[str]) -> "Experiment":
    """Returns the experiment that the overrides describe."""
    from melanoma_exp import config
    from melanoma_exp.cli import compose as composition
    from melanoma_exp.system import installation

    content: dict[str, Any] = composition.compose(installation.conf_folder(), overrides)
    return config.parse(content)

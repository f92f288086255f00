"""Refuses what Hydra and OmegaConf would do that no experiment needs."""

from pathlib import PurePath

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from melanoma_exp.spec import UserError

RERUN = "--experimental-rerun"
WITHIN = ("hydra.output_subdir", "hydra.sweep.subdir", "hydra.job.name")  # of the run's folder


def refuse(words: list[str]) -> None:
    """Checks a command line before Hydra reads it.

    `${oc.env:NAME}` would print a secret with the config and record it with the run, Hydra's own
    rerun unpickles a file, and names of folders within the run's could lead out of it.

    Args:
        words: Of the command line.

    Raises:
        UserError: A word is such; a line each.
    """
    OmegaConf.clear_resolver("oc.env")  # for what no word says, such as a YAML of an extension
    lines = []
    for word in words:
        if "oc.env" in word and "${" in word:
            lines.append(
                f"{word}: a config is printed and recorded, so it does not read the environment; "
                "let the shell fill it in: $NAME instead of ${oc.env:NAME}"
            )
        elif len(word) > 2 and RERUN.startswith(word.partition("=")[0]) and word[:2] == "--":
            lines.append(
                f"{word}: is refused, it unpickles a file; repeat a run with: melanoma-exp rerun "
                "RUN_ID"
            )
        elif word.lstrip("+").startswith(WITHIN) and _leads_out(word):
            lines.append(f"{word}: should be a name within the run's folder, without ..")
    if lines:
        raise UserError(*lines)


def _leads_out(word: str) -> bool:
    try:
        override = OverridesParser.create().parse_override(word)
        values = (
            list(override.sweep_string_iterator())
            if override.is_sweep_override()
            else [override.value()]
        )
    except HydraException:
        return False  # reported where it is composed
    paths = [PurePath(str(value)) for value in values]
    return any(path.is_absolute() or ".." in path.parts for path in paths)

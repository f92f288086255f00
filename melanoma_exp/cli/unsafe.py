"""Refuses what Hydra and OmegaConf would do that no experiment needs."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf

from melanoma_exp.spec import UserError

RERUN = "--experimental-rerun"
WITHIN = ("hydra.output_subdir", "hydra.sweep.subdir", "hydra.job.name")  # of the run's folder
LOGGING = ("hydra.job_logging.", "hydra.hydra_logging.")
_OWN = re.compile(r"\$\{(hydra[.:]job\.\w+|now:[^${}/.]*)\}")  # Hydra's own names and times


def refuse(words: list[str]) -> None:
    """Checks a command line before Hydra reads it.

    `${oc.env:NAME}` would print a secret with the config and record it with the run, Hydra's own
    rerun unpickles a file, a `_target_` is called, and so is what a setting of logging names; names
    of folders within the run's could lead out of it.

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
        else:
            reasons = (_why_not(key, value) for key, value in _settings(word))
            lines += [f"{word}: {reason}" for reason in filter(None, reasons)][:1]
    if lines:
        raise UserError(*lines)


def _why_not(key: str, value: str) -> str:
    """Returns why this word must not reach Hydra, "" where it may."""
    if not key.startswith("hydra."):
        return ""
    if "_target_" in key.split("."):
        return "would run what it names; code of yours is an extension, extend=FILE"
    if key.startswith(LOGGING) and not key.endswith(".level"):
        return "of logging only a level can be set; hydra.run.dir=FOLDER says where the log lies"
    if key in WITHIN and _leads_out(value):
        return "should be a name within the run's folder, without .."
    return ""


def refuse_written(words: list[str]) -> None:
    """Refuses a folder in which another process works: Hydra would write its own files there.

    Args:
        words: Of the command line.

    Raises:
        UserError: Another process runs the job or launches the sweep there.
    """
    from melanoma_exp.distribution import cluster
    from melanoma_exp.run import one_writer
    from melanoma_exp.sweep import folder as sweep_folder

    if cluster.is_worker():  # which shares the folder with its chief
        return
    for word in words:
        for key, folder in _settings(word):
            if key in ("hydra.run.dir", "hydra.sweep.dir") and "${" not in folder:
                check = one_writer.check_job if "run" in key else sweep_folder.check_unlocked
                check(Path(folder))


def _leads_out(value: str) -> bool:
    path = PurePath(_OWN.sub("", value))
    return path.is_absolute() or ".." in path.parts or "${" in str(path)


def _settings(word: str) -> Iterator[tuple[str, str]]:
    """Yields key and value of all that a word sets; a dictionary sets several, a sweep in turn."""
    try:
        override = OverridesParser.create().parse_override(word)
        is_sweep = override.is_sweep_override()
        values = list(override.sweep_iterator()) if is_sweep else [override.value()]
    except HydraException:
        return  # reported where it is composed
    for value in values:
        yield from _flat(override.key_or_group, value)


def _flat(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _flat(f"{key}.{name}", inner)
    else:
        yield key, str(value)

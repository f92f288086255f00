"""Refuses what Hydra and OmegaConf would do that no experiment needs."""

from pathlib import Path, PurePath

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
        key = word.partition("=")[0].lstrip("+")
        for folder in _values(word) if key in ("hydra.run.dir", "hydra.sweep.dir") else ():
            if "${" not in folder:
                check = one_writer.check_job if "run" in key else sweep_folder.check_unlocked
                check(Path(folder))


def _leads_out(word: str) -> bool:
    paths = [PurePath(value) for value in _values(word)]
    return any(path.is_absolute() or ".." in path.parts for path in paths)


def _values(word: str) -> list[str]:
    try:
        override = OverridesParser.create().parse_override(word)
        if override.is_sweep_override():
            return list(override.sweep_string_iterator())
        return [str(override.value())]
    except HydraException:
        return []  # reported where it is composed

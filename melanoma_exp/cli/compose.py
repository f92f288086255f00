"""Composes the YAMLs outside of a job, and finds what is wrong with a command line."""

import re
from pathlib import Path
from typing import Any

from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from melanoma_exp.cli import unsafe, words
from melanoma_exp.cli.help import NESTED, option_files
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system.extensions import loading

# Groups of Hydra's that have options of ours, and those of its own that are of use.
HYDRAS_OWN = {
    "hydra/launcher": ["basic"],
    "hydra/sweeper": ["basic"],
    "hydra/sweeper/pruner": [],
}


def compose(conf: Path, overrides: list[str]) -> dict[str, Any]:
    """Returns the composed config as plain dicts and lists, with extensions loaded.

    Args:
        conf: The folder of YAMLs.
        overrides: As on the command line.

    Raises:
        UserError: An override names what is not there; a line each.
    """
    unsafe.refuse(overrides)
    overrides = loading.load_words(words.expand_home(overrides))
    refuse_null(conf, overrides)
    running = GlobalHydra.instance()
    outer, running.hydra = running.hydra, None  # a search composes within Hydra's own run
    try:
        with initialize_config_dir(str(conf), version_base="1.3"):
            composed = hydra_compose("config", overrides)
        return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value]
    except (HydraException, OmegaConfBaseException) as error:
        raise UserError(*diagnose(conf, overrides, error)) from error
    finally:
        running.hydra = outer


def refuse_null(conf: Path, overrides: list[str]) -> None:
    """Refuses `group=null`, at which Hydra itself would end with a traceback.

    Args:
        conf: The folder of YAMLs.
        overrides: As on the command line.

    Raises:
        UserError: One is such; a line each.
    """
    pairs = [word.partition("=") for word in overrides]
    lines = [
        f"{group}={value}: a group cannot be null; leave it out for its default "
        f"(there are {', '.join(options(conf, group))})"
        for group, _, value in pairs
        if "null" in value.lower().split(",") and group in (*groups(conf), *HYDRAS_OWN)
    ]
    if lines:
        raise UserError(*lines)


def diagnose(conf: Path, arguments: list[str], error: Exception) -> list[str]:
    """Finds every override that cannot be composed.

    Args:
        conf: The folder of YAMLs.
        arguments: The command line; flags other than -m are ignored.
        error: What Hydra raised; its first line is returned where nothing else is found.

    Returns:
        A line for each mistake, with the nearest thing that exists.
    """
    lines, sound = [], []
    sweeps = bool({"-m", "--multirun"} & set(arguments))
    for text in arguments:
        if "=" not in text or text.startswith(("-", "hydra.")):
            continue
        line = _mistake(conf, text, sweeps)
        if line:
            lines.append(line)
        else:
            sound.append(text)
    if not lines:
        key = re.match(r"Could not override '([^']+)'", str(error))
        if key:
            return [f"{key.group(1)}: the chosen options have no such key; see --cfg job"]
        said, *more = str(error).split("\n")
        named = next((line for line in more if "full_key: " in line), "").partition("full_key: ")[2]
        return [f"{named}: {said}" if named else said]
    try:
        from melanoma_exp import config

        config.parse(compose(conf, [s for s in sound if "," not in s]))
    except UserError as more:
        lines += [line for line in more.lines if line not in lines]
    return lines


def _mistake(conf: Path, text: str, sweeps: bool) -> str | None:
    """Returns what is wrong with one override, None where nothing is."""
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        return words.unreadable(text, error)
    if override.is_sweep_override() and not sweeps and "hydra" not in text.partition("=")[0]:
        return words.several(text)
    if override.is_add() or override.is_force_add() or override.is_delete():
        return None
    key = override.key_or_group
    if key in HYDRAS_OWN:
        return _wrong_option(conf, override)
    if key.startswith("hydra"):
        return None
    if key in groups(conf):
        return _wrong_option(conf, override)
    keys = _known_keys(conf)
    if key in keys or any(known.startswith(f"{key}.") for known in keys):
        return None
    from melanoma_exp.training.spec import MOVED

    if key.startswith("train.") and (now := MOVED.get(key.removeprefix("train."))):
        return f"{key}: is now {now}"
    guess = did_you_mean(key, [*keys, *groups(conf)], f"; groups are {', '.join(groups(conf))}")
    return f"{key}: there is no such key{guess}"


def _wrong_option(conf: Path, override: Any) -> str | None:
    key = override.key_or_group
    known = [*options(conf, key), *HYDRAS_OWN.get(key, [])]
    if override.is_sweep_override() and not override.is_choice_sweep():
        return None  # a glob or a range finds for itself what is there
    wanted = (
        override.sweep_string_iterator() if override.is_sweep_override() else [override.value()]
    )
    for name in map(str, wanted):
        if name not in known:
            guess = did_you_mean(name, known)
            word, there = f"{key}={name}", ", ".join(known)
            return f"{word}: there is no such option{guess} (there are {there})"
    return None


def groups(conf: Path) -> list[str]:
    """Returns the config groups, Hydra's own left out."""
    folders = [path for root in roots(conf) for path in root.iterdir() if path.is_dir()]
    return sorted({path.name for path in folders if path.name != "hydra"} | set(NESTED))


def options(conf: Path, group: str) -> list[str]:
    """Returns the options of a group, those of loaded extensions too."""
    return sorted({name for name, _ in option_files(roots(conf), group)})


def roots(conf: Path) -> list[Path]:
    """Returns all folders of YAMLs: the given one and those of loaded extensions."""
    return [conf, *loading.conf_folders()]


def _known_keys(conf: Path) -> set[str]:
    """Returns every dotted key that any option of any group has."""
    keys: set[str] = set()

    def walk(node: Any, prefix: str) -> None:
        for key, value in node.items():
            keys.add(f"{prefix}{key}")
            if isinstance(value, dict):
                walk(value, f"{prefix}{key}.")

    for root in roots(conf):
        for path in root.rglob("*.yaml"):
            if "hydra" in path.relative_to(root).parts:
                continue
            content: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
            is_global = path.parent == root or "@package _global_" in path.read_text()[:30]
            folder = path.parent.relative_to(root)
            group = folder.as_posix() if folder.as_posix() in NESTED else "".join(folder.parts[:1])
            walk(content, "" if is_global else f"{group.replace('/', '.')}.")
    return keys

"""What the words of a sweep or a search range over: globs expanded, search spaces read."""

import fnmatch
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, RangeSweep
from hydra.errors import HydraException

from melanoma_exp.cli.compose import groups, options
from melanoma_exp.cli.words import unreadable
from melanoma_exp.spec import UserError


def expand_globs(conf: Path, words: list[str]) -> list[str]:
    """Expands `group=m1,glob(...)`; Hydra's own glob finds nothing below a subfolder.

    A pattern is matched folder by folder: `*` finds `m1`, `published/*` what lies below it.

    Args:
        conf: The folder of YAMLs.
        words: Of the command line.

    Raises:
        UserError: A pattern finds nothing; there are no jobs to run.
    """
    return [_expand(conf, word) if "glob(" in word else word for word in words]


def _expand(conf: Path, word: str) -> str:
    override = _read(word)
    value, group = override.value(), override.key_or_group
    choices = value.list if isinstance(value, ChoiceSweep) else [value]
    if not any(isinstance(c, Glob) for c in choices) or group not in groups(conf):
        return word
    names = dict.fromkeys(n for c in choices for n in _named(c, options(conf, group), word))
    return f"{group}={','.join(names)}"


def _named(choice: Any, known: list[str], word: str) -> list[str]:
    if not isinstance(choice, Glob):
        return [str(choice)]
    found = [
        name
        for name in known
        if any(_matches(name, pattern) for pattern in choice.include)
        and not any(_matches(name, pattern) for pattern in choice.exclude)
    ]
    if not found:
        raise UserError(f"{word}: finds no option (there are {', '.join(known)})")
    return found


def _matches(name: str, pattern: str) -> bool:
    steps, patterns = name.split("/"), pattern.split("/")
    return len(steps) == len(patterns) and all(map(fnmatch.fnmatchcase, steps, patterns))


def read_space(words: list[str]) -> tuple[list[str], dict[str, dict[str, Any]]]:
    """Separates the values to draw from and the overrides that hold in every job.

    Args:
        words: Overrides; of several with one key the last counts.

    Returns:
        The overrides that hold, and for each other key what `search.space.distribution` reads:
        `a,b` and `choice(a,b)` are a choice, `int(interval(...))` and `range(...)` are whole
        numbers, `interval(...)` is a number, with `tag(log, ...)` on a logarithmic scale.

    Raises:
        UserError: A word cannot be read.
    """
    fixed: dict[str, str] = {}
    space: dict[str, dict[str, Any]] = {}
    for word in words:
        override = _read(word)
        key = override.key_or_group
        fixed.pop(key, None)
        space.pop(key, None)
        if not override.is_sweep_override():
            fixed[key] = word
        else:
            space[key] = _drawn(word, override)
    return list(fixed.values()), space


def _drawn(word: str, override: Any) -> dict[str, Any]:
    swept = override.value()
    if strange := set(swept.tags) - {"log"}:
        raise UserError(f"{word}: there is no tag {strange.pop()}, only log")
    log = "log" in swept.tags
    if isinstance(swept, IntervalSweep):
        ends = {"low": swept.start, "high": swept.end}
        if all(isinstance(end, int) for end in ends.values()):
            return {"kind": "whole", **ends, "step": 1, "log": log}
        return {"kind": "real", **ends, "step": None, "log": log}
    if isinstance(swept, RangeSweep):
        values = list(override.sweep_iterator())
        if values and all(isinstance(value, int) for value in values):
            ends = {"low": min(values), "high": max(values)}
            return {"kind": "whole", **ends, "step": abs(int(swept.step)), "log": log}
    return {"kind": "choice", "values": list(override.sweep_string_iterator())}


def _read(word: str) -> Any:
    try:
        return OverridesParser.create().parse_override(word)
    except HydraException as error:
        raise UserError(unreadable(word, error)) from error

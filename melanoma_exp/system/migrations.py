"""Reads configs that earlier versions recorded, and keeps digests of equal experiments equal.

An `experiment.json` names the schema of its keys. What each schema changed stands in `CHANGES`; an
older file is brought up to date one schema at a time. The same changes, undone, give the content
that is hashed: an experiment that an earlier version could express has the digest it had there.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from melanoma_exp import __version__
from melanoma_exp.spec import UserError

Content = dict[str, Any]
SCHEMA, VERSION = "schema_version", "melanoma_exp"  # keys of an experiment.json
_NOTHING: Any = object()


class Change(Protocol):
    """One difference between two schemas."""

    def apply(self, content: Content) -> None:
        """Brings nested content up to date, in place."""

    def revert(self, content: Content) -> None:
        """Undoes it where the older schema could say the same."""

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Brings the flat parameters of a tracked run up to date, in place."""


@dataclass(frozen=True)
class Added:
    """A key that did not exist, with the value that says what happened without it."""

    key: str
    value: Any

    def apply(self, content: Content) -> None:
        """Adds it where its group is."""
        for group, name in _group_of(self.key, content):
            group.setdefault(name, self.value)

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        for group, name in _group_of(self.key, content):
            if group.get(name, _NOTHING) == self.value:
                del group[name]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds it where its group is."""
        above = self.key.rpartition(".")[0]
        if not above or any(key.startswith(f"{above}.") for key in params):
            params.setdefault(self.key, _text(self.value))


@dataclass(frozen=True)
class AddedGroup:
    """A config group that did not exist, with the values that say what happened without it."""

    name: str
    values: Mapping[str, Any]

    def apply(self, content: Content) -> None:
        """Adds it."""
        content.setdefault(self.name, dict(self.values))

    def revert(self, content: Content) -> None:
        """Removes it where it says nothing new."""
        if content.get(self.name) == self.values:
            del content[self.name]

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Adds its keys."""
        for key, value in self.values.items():
            params.setdefault(f"{self.name}.{key}", _text(value))


@dataclass(frozen=True)
class Renamed:
    """A key that has another name now, beside the old one."""

    old: str
    new: str

    def apply(self, content: Content) -> None:
        """Renames it."""
        _move(content, self.old, self.new)

    def revert(self, content: Content) -> None:
        """Gives it its old name."""
        _move(content, self.new, self.old)

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Renames it."""
        if self.old in params:
            params[self.new] = params.pop(self.old)


@dataclass(frozen=True)
class Revalued:
    """A key whose values have other names now."""

    key: str
    values: Mapping[str, str]

    def apply(self, content: Content) -> None:
        """Gives it its new value."""
        self._replace(content, self.values)

    def revert(self, content: Content) -> None:
        """Gives it its old value."""
        self._replace(content, {new: old for old, new in self.values.items()})

    def apply_to_params(self, params: dict[str, str]) -> None:
        """Gives it its new value."""
        if self.key in params:
            params[self.key] = self.values.get(params[self.key], params[self.key])

    def _replace(self, content: Content, values: Mapping[str, str]) -> None:
        for group, name in _group_of(self.key, content):
            if isinstance(value := group.get(name), str):
                group[name] = values.get(value, value)


MONITORS = {"val_loss": "val/loss", "val_accuracy": "val/accuracy"}
# For each schema before this one: who wrote it, and what the next one changed.
CHANGES: tuple[tuple[str, tuple[Change, ...]], ...] = (
    (
        "0.1.0",
        (
            Added("extend", []),
            Added("cache.max_gib", None),
            Added("augment.batch", []),
            Added("train.fused", True),
            Added("evaluation.figures", True),
            Added("evaluation.objective", "val/balanced_accuracy"),
            Added("evaluation.metrics", []),
            Revalued("train.early_stopping.monitor", MONITORS),
            Revalued("train.plateau.monitor", MONITORS),
        ),
    ),
    (
        "0.2.0",
        (
            AddedGroup("inference", {"views": "none", "scales": [1.0]}),
            Added("train.features", None),
            Added("split.train_per_class", None),
        ),
    ),
)
CURRENT = len(CHANGES)


def stamp(content: Content) -> Content:
    """Returns content with its schema and the version that writes it, first."""
    return {SCHEMA: CURRENT, VERSION: __version__, **content}


def upgrade(content: Content, file: str) -> Content:
    """Returns the content of a recorded file under today's keys.

    Args:
        content: Its content; without a schema it is of the first one.
        file: Its name, for the message.

    Raises:
        UserError: A newer version wrote it.
    """
    content = json.loads(json.dumps(content))
    schema, version = content.pop(SCHEMA, 0), content.pop(VERSION, "unknown")
    if not isinstance(schema, int) or not 0 <= schema <= CURRENT:
        raise UserError(
            f"{file}: was written by melanoma_exp {version} (schema {schema}); this version, "
            f"{__version__}, reads schemas up to {CURRENT}: use {version} or a later one"
        )
    for _, changes in CHANGES[schema:]:
        for change in changes:
            change.apply(content)
    return content


def written_by(content: Content) -> str:
    """Returns the version that wrote a file of an earlier schema, "" for one of today's."""
    schema = content.get(SCHEMA, 0)
    return CHANGES[schema][0] if isinstance(schema, int) and 0 <= schema < CURRENT else ""


def downgrade(content: Content) -> Content:
    """Returns content under the keys of the first schema, as far as it has them; for digests."""
    content = json.loads(json.dumps(content))
    for _, changes in reversed(CHANGES):
        for change in reversed(changes):
            change.revert(content)
    return content


def upgrade_params(params: Mapping[str, str]) -> dict[str, str]:
    """Returns the parameters of a tracked run under today's keys; other runs' as they are."""
    params = dict(params)
    for _, changes in CHANGES if "seed" in params else ():
        for change in changes:
            change.apply_to_params(params)
    return params


def _text(value: Any) -> str:
    """Returns a value as a tracked run has it among its parameters."""
    return json.dumps(value) if isinstance(value, list | dict) else str(value)


def _group_of(key: str, content: Content) -> Iterator[tuple[Content, str]]:
    """Gives the dict that holds a key and the key's last word, if there is such a dict."""
    *above, last = key.split(".")
    group: Any = content
    for name in above:
        group = group.get(name) if isinstance(group, dict) else None
    if isinstance(group, dict):
        yield group, last


def _move(content: Content, old: str, new: str) -> None:
    for group, name in _group_of(old, content):
        if name in group:
            value = group.pop(name)
            for target, last in _group_of(new, content):
                target[last] = value

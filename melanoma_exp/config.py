"""The whole experiment as one typed, complete, frozen value.

`parse` runs once, before TensorFlow is imported, and tells every mistake at once in the user's own
terms. `Experiment` lists the groups; the unions of their options are the only registry.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from melanoma_exp.augment.base import AnyPolicy
from melanoma_exp.data.balance import AnyBalance
from melanoma_exp.data.datasets.base import AnyDataset
from melanoma_exp.data.split import AnySplit
from melanoma_exp.distribution.spec import AnyDistribution
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.models.spec import AnyModel
from melanoma_exp.spec import Spec, UserError, did_you_mean, digest
from melanoma_exp.tracking import AnyTracking
from melanoma_exp.training.spec import Train


class Cache(Spec):
    """Where decoded images and synthetic children are kept between runs.

    Attributes:
        dir: null is the user's cache folder.
        max_gib: When a run has its data, what was not used for longest goes until the cache is
            below this size; what running processes use stays. null sets no limit.
    """

    dir: Path | None
    max_gib: float | None = Field(gt=0)

    def root(self) -> Path:
        """Returns the folder; by default below the user's cache folder."""
        if self.dir is not None:
            return self.dir
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "melanoma_exp"


# Name, place and bookkeeping do not change weights and predictions, nor does the evaluation: it
# judges predictions that are there already.
BOOKKEEPING = (
    "name",
    "dry_run",
    "dataset.root",
    "train.checkpoint",
    "evaluation",
    "tracking",
    "cache",
)


def determines(key: str) -> bool:
    """Returns whether a key of the flat config has a part in weights and predictions."""
    return not any(key == own or key.startswith(f"{own}.") for own in BOOKKEEPING)


class Experiment(Spec):
    """Everything that determines a run, and where it is kept."""

    name: str | None = Field(pattern=r"^[^/\\]+$")
    seed: int = Field(ge=0, lt=2**32)
    dry_run: bool
    dataset: AnyDataset
    split: AnySplit
    augment: AnyPolicy
    balance: AnyBalance
    model: AnyModel
    distribution: AnyDistribution
    train: Train
    evaluation: Evaluation
    tracking: AnyTracking
    cache: Cache

    @property
    def run_name(self) -> str:
        """The given name, or one that tells runs of a sweep apart."""
        if self.name:
            return self.name
        parts = [self.model.name, self.augment.kind, self.dataset.kind, self.split.kind]
        fold = getattr(self.split, "fold", None)
        return "-".join([*parts, *([f"fold{fold}"] if fold is not None else []), f"s{self.seed}"])

    @property
    def digest(self) -> str:
        """Identifies what determines weights and predictions."""
        content = self.model_dump(mode="json")
        for key in BOOKKEEPING:
            *groups, last = key.split(".")
            place = content
            for group in groups:
                place = place[group]
            place.pop(last, None)
        return digest(content)

    def flat(self) -> dict[str, Any]:
        """Returns the complete config as `group.key: value`, lists as JSON."""
        return dict(_flatten(self.model_dump(mode="json")))


def parse(content: Mapping[str, Any]) -> Experiment:
    """Checks a composed config, or the content of an `experiment.json`.

    Args:
        content: Plain nested dicts and lists.

    Raises:
        UserError: One line for each mistake, naming the key, what was expected and what was given.
    """
    try:
        return Experiment.model_validate(content)
    except ValidationError as error:
        found: dict[str, str] = {}
        for entry in error.errors():
            key, line = _told(entry, content)
            # Where a value may be one of several types, each type complains: the first will do.
            found.setdefault(key, line)
        raise UserError(*found.values()) from None


def parse_json(text: str) -> Experiment:
    """Checks the text of an `experiment.json`.

    Raises:
        UserError: It is no JSON, or not of an experiment.
    """
    try:
        content = json.loads(text)
        # Records from before there was a limit; it is this machine's matter, not the run's.
        content["cache"] = {"max_gib": None, **content.get("cache", {})}
        return parse(content)
    except json.JSONDecodeError as error:
        raise UserError(f"experiment.json: is damaged: {error}") from error


def _told(error: Any, content: Mapping[str, Any]) -> tuple[str, str]:
    """Returns the key a pydantic error is about and the line that tells it."""
    place = _place(error, content)
    key, given = ".".join(map(str, place)), error["input"]
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    shown = json.dumps(given, default=str) if not isinstance(given, str) else given
    if error["type"] == "extra_forbidden":
        above = "".join(f"{step}." for step in place[:-1])
        guess = did_you_mean(key, [f"{above}{name}" for name in _keys_beside(place, content)])
        return key, f"{key}: there is no such key{guess}"
    if error["type"] == "missing":
        return key, f"{key}: is missing"
    if error["type"] == "value_error":
        return key, f"{key}: {message}"
    if error["type"] == "path_type":
        return key, f"{key}: should be a path (got {shown})"
    if error["type"] == "literal_error":
        options = re.findall(r"'([^']*)'", error["ctx"]["expected"])
        guess = did_you_mean(str(given), options)
        message = f"should be one of {', '.join(options)}" if options else message
        return key, f"{key}: {message} (got {shown}){guess}"
    return key, f"{key}: {message} (got {shown})"


def _place(error: Any, content: Mapping[str, Any]) -> list[Any]:
    """Returns the user's keys of an error's path, without pydantic's names of alternatives."""
    place, node = [], content
    for step in error["loc"]:
        inner = _child(node, step, _MISSING)
        if inner is not _MISSING:
            place.append(step)
            node = inner
    return [*place, error["loc"][-1]] if error["type"] == "missing" else place


_MISSING: Any = object()


def _child(node: Any, step: Any, otherwise: Any) -> Any:
    if isinstance(node, Mapping):
        return node.get(step, otherwise)
    if isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
        return node[step]
    return otherwise


def _keys_beside(place: list[Any], content: Mapping[str, Any]) -> list[str]:
    """Returns the keys that belong where an unknown one was found."""
    node: Any = content
    for step in place[:-1]:
        node = _child(node, step, {})
    known = [str(key) for key in node if key != place[-1]] if isinstance(node, Mapping) else []
    return known or list(Experiment.model_fields)


def _flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | dict):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", value

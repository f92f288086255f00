"""The whole experiment as one typed, complete, frozen value.

`parse` runs once, before TensorFlow is imported, and tells every mistake at once in the user's own
terms. `Experiment` lists the groups; the unions of their options are the only registry.
"""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from melanoma_exp.augment import AnyPolicy
from melanoma_exp.data.balance import AnyBalance
from melanoma_exp.data.datasets import AnyDataset
from melanoma_exp.data.splits import AnySplit
from melanoma_exp.distribution import AnyDistribution
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.models import AnyModel
from melanoma_exp.spec import Spec, UserError, digest, validate
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
    return validate(Experiment, content)


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


def _flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value:
            yield from _flatten(value, f"{prefix}{key}.")
        elif isinstance(value, list | dict):
            yield f"{prefix}{key}", json.dumps(value)
        else:
            yield f"{prefix}{key}", value

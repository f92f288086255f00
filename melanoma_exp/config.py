"""The whole experiment as one typed, complete, frozen value.

`parse` runs once, before TensorFlow is imported, and reports every mistake at once in the user's
own terms. `Experiment` lists the groups; the unions of their options are the only registry.
"""

import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from melanoma_exp.augment import AnyPolicy
from melanoma_exp.data.balance import AnyBalance
from melanoma_exp.data.datasets import AnyDataset
from melanoma_exp.data.splits import AnySplit
from melanoma_exp.distribution import AnyDistribution
from melanoma_exp.evaluation import objectives
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import prior
from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.models import AnyModel
from melanoma_exp.models.inference import Inference
from melanoma_exp.spec import Spec, UserError, UserPath, digest, validate
from melanoma_exp.system import migrations
from melanoma_exp.system.extensions import loading, record
from melanoma_exp.system.extensions.group import Group
from melanoma_exp.system.extensions.record import Extension
from melanoma_exp.tracking import AnyTracking
from melanoma_exp.training.spec import Train
from melanoma_exp.training.transfer.spec import check_features


class Cache(Spec):
    """Where decoded images and synthetic children stay between runs.

    Attributes:
        dir: null is the user's cache folder.
        max_gib: Once a run has its data, the least recently used entries are removed until the
            cache is below this size, except those in use by running processes. null sets no limit.
    """

    dir: UserPath | None
    max_gib: float | None = Field(gt=0)

    def root(self) -> Path:
        """Returns the folder; by default below the user's cache folder."""
        if self.dir is not None:
            return self.dir
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(base) / "melanoma_exp"


_PLAIN = re.compile(r"[\w\-. /]+")  # of which trackers take every name as part of a key
# Names, paths, records and what is measured afterwards change neither weights nor predictions.
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
    """Whether a key of a run's flat config has an effect on weights and predictions.

    A file of pretrained weights has it by its content, `model.weights_sha256`.
    """
    return key != "model.weights" and not any(
        key == own or key.startswith(f"{own}.") for own in BOOKKEEPING
    )


class Experiment(Spec):
    """Everything that determines a run, and where it is recorded."""

    name: str | None = Field(pattern=r"^[^/\\]+$")
    extend: tuple[Extension, ...]
    seed: int = Field(ge=0, lt=2**32)
    dry_run: bool
    dataset: AnyDataset
    split: AnySplit
    augment: AnyPolicy
    balance: AnyBalance
    model: AnyModel
    inference: Inference
    distribution: AnyDistribution
    train: Train
    evaluation: Evaluation
    tracking: AnyTracking
    cache: Cache

    @property
    def run_name(self) -> str:
        """The given name, or one that distinguishes the runs of a sweep."""
        if self.name:
            return self.name
        parts = [self.model.name, self.augment.kind, self.dataset.kind, self.split.kind]
        fold = getattr(self.split, "fold", None)
        return "-".join([*parts, *([f"fold{fold}"] if fold is not None else []), f"s{self.seed}"])

    @property
    def objective(self) -> Objective:
        """What sweeps rank by and searches optimise."""
        known = objectives.directions(self.evaluation, self.dataset.alerts)
        return Objective(self.evaluation.objective, known)

    @property
    def digest(self) -> str:
        """Identifies what determines weights and predictions."""
        content = {**self.model_dump(mode="json"), "model": self.model.identity()}
        scored_by = objectives.scored_by(self.train, self.evaluation)
        for key in BOOKKEEPING:
            *groups, last = key.split(".")
            holder = content
            for group in groups:
                holder = holder[group]
            holder.pop(last, None)
        content |= {"extend": self._extended(), **({"scored_by": scored_by} if scored_by else {})}
        return digest(migrations.downgrade(content))

    def flat(self) -> dict[str, Any]:
        """Returns the complete config as `group.key: value`, lists and odd names as JSON."""
        return dict(_flatten({**self.model_dump(mode="json"), "extend": self._extended()}))

    def to_json(self) -> str:
        """Returns the text of an `experiment.json`, which `parse_json` reads."""
        return json.dumps(migrations.stamp(self.model_dump(mode="json")), indent=2) + "\n"

    def command_overrides(self) -> list[str]:
        """Returns the words with which another command finds this run and can read it."""
        files = [f"extend={one.path}" for one in self.extend if one.kinds and one.path]
        if len(files) > 1:
            files = [f"extend=[{','.join(file.partition('=')[2] for file in files)}]"]
        return [*files, *self.tracking.storage_overrides()]

    def _extended(self) -> list[str]:
        """Returns name and digest of each extension that takes part, wherever its file is."""
        return [f"{one.name} {one.sha256}" for one in self.extend if one.kinds]


def kinds(group: str) -> dict[str, dict[str, type[Spec]]]:
    """Returns the classes by kind, those of loaded extensions too.

    Args:
        group: A config group.

    Returns:
        For each key below which options stand, such as `augment` and `augment.steps`.
    """
    key = group.replace("/", ".")
    return {
        name: one.options for name, one in Group.known.items() if f"{name}.".startswith(f"{key}.")
    }


def parse(
    content: Mapping[str, Any],
    needs: Collection[str] | None = None,
    load_extensions: bool = False,
) -> Experiment:
    """Checks a composed config.

    Args:
        content: Plain nested dicts and lists; `extend` holds paths, or what a run recorded.
        needs: The groups whose recorded extensions must be loaded; None needs all. Others become
            values that do nothing.
        load_extensions: Imports the recorded files, if their content is unchanged. For the jobs of
            a command that named them; whoever reads another run names them again.

    Raises:
        UserError: One line for each mistake, naming the key, what was expected and what was given.
    """
    listed = _listed(content.get("extend", ()))
    records = [validate(Extension, one, "extend") for one in listed if not isinstance(one, str)]
    for one in records if load_extensions else ():
        if one.path is not None:
            loading.load(one.path, one.sha256)
    named = [loading.load(one).name for one in listed if isinstance(one, str)]
    absent = record.check_recorded(records, needs)
    plain = {**content, "extend": ()} if "extend" in content else content
    experiment = validate(Experiment, plain, context=absent)
    if not absent:  # else the dataset may be, and the record was checked when it was made
        bad = objectives.check(experiment.train, experiment.evaluation, experiment.dataset.alerts)
        bad += prior.check(experiment.inference.prior_correction, experiment.train.loss)
        bad += experiment.train.check_distribution(experiment.distribution.kind)
        if bad := bad + check_features(experiment.train.features, experiment.augment):
            raise UserError(*bad)
    extend = record.used_by(experiment, [*named, *(one.name for one in records)])
    missing = [one for one in records if loading.find(one.name) is None]
    return experiment.model_copy(update={"extend": (*extend, *missing)})


def parse_json(
    text: str, needs: Collection[str] | None = None, load_extensions: bool = False
) -> Experiment:
    """Reads the text of an `experiment.json`, also of an earlier version.

    Args:
        text: As `Experiment.to_json` or an earlier version wrote it.
        needs: As of `parse`.
        load_extensions: As of `parse`.

    Raises:
        UserError: It is no JSON, not of an experiment, or of a version that cannot be read.
    """
    file = "experiment.json"
    content = migrations.read(text, file)
    version = migrations.written_by(content)
    try:
        upgraded = migrations.upgrade(content, file)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise UserError(f"{file}: is damaged: it is no experiment of any version") from error
    try:
        return parse(upgraded, needs, load_extensions)
    except UserError as error:
        if not version:
            raise
        raise UserError(
            f"{file}: was written by melanoma_exp {version}, which this version cannot read "
            f"entirely: {'; '.join(error.lines)}"
        ) from error


def _listed(value: Any) -> list[Any]:
    """Returns the entries of `extend`, which may be one path.

    Raises:
        UserError: It is neither a path nor a list.
    """
    if isinstance(value, str):
        return [value]
    if not isinstance(value, list | tuple):
        raise UserError(f"extend: should be a file or a list of files (got {json.dumps(value)})")
    return list(value)


def _flatten(node: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if isinstance(value, dict) and value and all(map(_PLAIN.fullmatch, value)):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            text = isinstance(value, list | dict)
            yield f"{prefix}{key}", json.dumps(value) if text else value

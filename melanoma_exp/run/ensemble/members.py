"""The runs that an ensemble is made of: read back, and refused where they do not fit together."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from melanoma_exp.config import Experiment, determines
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.models import Ensemble
from melanoma_exp.models.inference import Inference
from melanoma_exp.prediction import manifest, saved_model
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.spec import UserError
from melanoma_exp.system import shown
from melanoma_exp.tracking.archive import Archive, StoredRun


@dataclass(frozen=True)
class MemberRun:
    """A run that is part of an ensemble.

    Attributes:
        stored: As the store has it.
        experiment: Its config.
        decision: Chosen on its own validation images.
        manifest: Its classes and the checksum of its weights.
        files: What a prediction needs, by name.
        parts: The source ids of its train, val and test part; synthetic children count as their
            source.
    """

    stored: StoredRun
    experiment: Experiment
    decision: Decision
    manifest: Manifest
    files: Mapping[str, Path]
    parts: Mapping[str, Collection[str]]

    @property
    def title(self) -> str:
        """Id and name, for messages."""
        return f"run {self.stored.id} ({self.stored.name})"


def check_ids(run_ids: Sequence[str]) -> None:
    """Refuses ids of which no ensemble can be made, before any is looked up.

    Raises:
        UserError: One is named twice, or there are fewer than two.
    """
    twice = [run_id for run_id, count in Counter(run_ids).items() if count > 1]
    if twice:
        raise UserError(
            f"ensemble: run {twice[0]} is named twice; each member counts once, with equal weight"
        )
    if len(run_ids) < 2:
        raise UserError(f"ensemble: takes two finished runs or more (got {len(run_ids)})")


def read(
    archive: Archive, runs: Iterable[StoredRun], inference: Mapping[str, Inference]
) -> list[MemberRun]:
    """Reads the members and checks that they fit together.

    Args:
        archive: Where they are recorded.
        runs: Finished ones.
        inference: By run id what replaces its own views and correction.

    Raises:
        UserError: A line for each run that does not fit, and why.
    """
    members: list[MemberRun] = []
    lines: list[str] = []
    for stored in runs:
        try:
            member = _read(archive, stored)
            members.append(_with_inference(member, inference.get(stored.id)))
        except UserError as error:
            lines += error.lines
    lines += [f"{m.title}: {why}" for m in members if (why := _unfit(m, members[0]))]
    if lines:
        raise UserError(*lines)
    return members


def _read(archive: Archive, stored: StoredRun) -> MemberRun:
    _, files = saved_model.fetch(archive, stored.id)
    rows = shown.records(archive.text(stored, "split.csv"))
    parts: dict[str, set[str]] = {"train": set(), "val": set(), "test": set()}
    for row in rows:
        parts.setdefault(row["part"], set()).add(row["source"])
    described = Manifest.read(files[manifest.NAME])
    experiment, decision = saved_model.read_config(described, files)
    return MemberRun(stored, experiment, decision, described, files, parts)


def _with_inference(member: MemberRun, inference: Inference | None) -> MemberRun:
    if inference is None or inference == member.experiment.inference:
        return member
    if inference.prior_correction != "none" and member.decision.prior_correction is None:
        raise UserError(
            f"inference.prior_correction: {member.title} recorded no class shares, for it corrects "
            "nothing; take inference.prior_correction=none"
        )
    changed = member.experiment.model_copy(update={"inference": inference})
    return replace(member, experiment=changed)


def _unfit(member: MemberRun, first: MemberRun) -> str:
    """Returns why a run cannot be a member, measured by the first one, or ""."""
    tags, mine = member.stored.tags, first.stored.tags
    if isinstance(member.experiment.model, Ensemble):
        return "is an ensemble itself; name its members"
    if (encoding := member.manifest.metadata) is not None:
        return (
            f"reads metadata ({', '.join(encoding.columns)}); an ensemble is of networks that take "
            "images alone: name runs with dataset.inputs=null"
        )
    if tags.get("leaky") != "false":
        return (
            "is leaky: what it trained on is not told apart from what it is measured on; name "
            "honest runs"
        )
    if member.manifest.classes != first.manifest.classes:
        return (
            f"has the classes {', '.join(member.manifest.classes)}, {first.title} has "
            f"{', '.join(first.manifest.classes)}; an ensemble needs one list of classes"
        )
    ours, theirs = (m.experiment.model_dump(mode="json")["dataset"] for m in (member, first))
    own = "image_size"  # each member's images are resized to it
    differ = [
        k
        for k in ours | theirs
        if k != own and determines(f"dataset.{k}") and ours.get(k) != theirs.get(k)
    ]
    if differ:
        key = differ[0]
        return (
            f"has dataset.{key}={ours.get(key)}, {first.title} has {theirs.get(key)}; members see "
            "the same decoded images, so the dataset's settings must be equal"
        )
    if tags.get("dataset_digest") != mine.get("dataset_digest"):
        return (
            f"saw other data (digest {tags.get('dataset_digest')}) than {first.title} (digest "
            f"{mine.get('dataset_digest')}): files, labels or groups differ"
        )
    return ""

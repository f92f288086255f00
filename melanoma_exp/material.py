"""What a run is made of before a model exists: data, split, plan, children, and what is odd."""

from dataclasses import dataclass, replace

import numpy as np

from melanoma_exp import __version__
from melanoma_exp.audit import findings, kept
from melanoma_exp.cache import upkeep
from melanoma_exp.children import Origin, make_reader
from melanoma_exp.config import Experiment
from melanoma_exp.dataset.data import Data
from melanoma_exp.pipeline import Reader
from melanoma_exp.samples import Parts, Plan, Samples
from melanoma_exp.spec import UserError


@dataclass(frozen=True)
class Material:
    """Everything a run is made of before a model exists."""

    data: Data
    parts: Parts
    plan: Plan
    unbalanced: Samples
    reader: Reader
    leak: dict[str, float]
    audit: kept.Audit

    @property
    def leaky(self) -> bool:
        """Whether anything that should be unseen was seen in training."""
        return any(share > 0 for share in self.leak.values())

    def digests(self, experiment: Experiment) -> dict[str, str]:
        """Returns by name what must be the same wherever this experiment is trained."""
        return {
            "config": experiment.digest,
            "dataset": self.data.digest,
            "split": self.parts.digest,
            "version of melanoma_exp": __version__,
        }


def prepare(experiment: Experiment) -> Material:
    """Loads the data, splits it, plans an epoch and makes the synthetic children."""
    cache = experiment.cache.root()
    data = experiment.dataset.load(cache)
    experiment.model.check_head(len(data.samples.classes))
    parts, plan, unbalanced = divide(experiment, data.samples)
    for name, part in (("training", parts.train), ("validation", parts.val)):
        if not len(part):
            raise UserError(f"split: leaves no {name} images out of {len(data.samples)}")
    everything = parts.train.join(parts.val)
    origin = Origin(data.pixels, data.digest, experiment.dataset.kind)
    reader = make_reader(everything, origin, experiment.augment, experiment.seed, cache)
    audit = kept.audit(data.survey, cache)
    if experiment.cache.max_gib is not None:
        upkeep.trim(cache, int(experiment.cache.max_gib * 2**30))
    return Material(data, parts, plan, unbalanced, reader, parts.leak(), audit)


def divide(experiment: Experiment, samples: Samples) -> tuple[Parts, Plan, Samples]:
    """Splits, then balances; or the other way round where the published order is asked for.

    Returns:
        The parts, balanced rows in train; the plan of an epoch; the training images before
        balancing.
    """
    balance, split = experiment.balance, experiment.split
    if split.balances_first:
        test = samples.take(samples.official == "test")
        plan = balance.apply(samples.take(samples.official != "test"), experiment.seed)
        parts = split.apply(plan.samples.join(test))
        originals = parts.train.take(parts.train.copy == 0)
        return parts, replace(plan, samples=parts.train), originals
    parts = split.apply(samples)
    plan = balance.apply(parts.train, experiment.seed)
    return replace(parts, train=plan.samples), plan, parts.train


def notes(experiment: Experiment, material: Material) -> list[str]:
    """Returns what a reader should know before believing the result, a sentence each."""
    found = [*material.data.notes, *findings.summary(material.audit.findings)]
    parts = material.parts
    guarded, others = _unused(material.data.samples, parts)
    if guarded:
        found.append(
            f"{guarded} training images share a group with the official test set and are left out"
        )
    if others:
        found.append(f"{others} images are in no part (left out by balancing or by the split)")
    if material.leaky:
        shares = ", ".join(f"{name} {share:.3f}" for name, share in material.leak.items())
        found.append(f"LEAKY: this order of steps lets training see validation: {shares}")
    absent = [c for c, n in zip(parts.train.classes, parts.train.counts(), strict=True) if not n]
    if absent:
        found.append(f"no training image of: {', '.join(absent)}")
    policy = experiment.augment
    if policy.kind != "none" and not policy.online and not (parts.train.copy > 0).any():
        found.append(
            f"augment={policy.kind} draws synthetic children only, and balance="
            f"{experiment.balance.kind} asks for none: nothing is augmented"
        )
    return found


def _unused(originals: Samples, parts: Parts) -> tuple[int, int]:
    """Returns how many images are in no part: for sharing a group with the test set, and others."""
    used = np.concatenate([part.source for _, part in parts.items()])
    unused = originals.take(~np.isin(originals.source, used))
    official = originals.group[originals.official == "test"]
    guarded = int(np.isin(unused.group, official).sum())
    return guarded, len(unused) - guarded

"""What a run is made of before a model exists: data, split, plan, children, and what is odd."""

from dataclasses import dataclass, replace

import numpy as np

from melanoma_exp import __version__
from melanoma_exp.config import Experiment
from melanoma_exp.data.audit import cached, findings
from melanoma_exp.data.children import Origin, make_reader
from melanoma_exp.data.datasets.contents import Data
from melanoma_exp.data.loader import Reader
from melanoma_exp.data.samples import Parts, Plan, Samples
from melanoma_exp.spec import UserError
from melanoma_exp.system.cache import maintenance


@dataclass(frozen=True)
class DataModule:
    """Everything a run is made of before a model exists."""

    data: Data
    parts: Parts
    plan: Plan
    unbalanced: Samples
    reader: Reader
    leak: dict[str, float]
    audit: cached.Audit

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


def prepare(experiment: Experiment) -> DataModule:
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
    audit = cached.audit(data.survey, cache)
    if experiment.cache.max_gib is not None:
        maintenance.trim(cache, int(experiment.cache.max_gib * 2**30))
    return DataModule(data, parts, plan, unbalanced, reader, parts.leak(), audit)


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


def notes(experiment: Experiment, datamodule: DataModule) -> list[str]:
    """Returns what a reader should know before believing the result, a sentence each."""
    found = [*datamodule.data.notes, *findings.summary(datamodule.audit.findings)]
    parts = datamodule.parts
    guarded, others = _unused(datamodule.data.samples, parts)
    if guarded:
        found.append(
            f"{guarded} training images share a group with the official test set and are left out"
        )
    if others:
        found.append(f"{others} images are in no part (left out by balancing or by the split)")
    if datamodule.leaky:
        shares = ", ".join(f"{name} {share:.3f}" for name, share in datamodule.leak.items())
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

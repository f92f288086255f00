"""The data module: everything a run needs of its data before a model exists."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melanoma_exp.augment.base import Policy
from melanoma_exp.augment.none import NoAugment
from melanoma_exp.data.audit import cached, findings
from melanoma_exp.data.balance import Balance
from melanoma_exp.data.children import Origin, make_reader
from melanoma_exp.data.datasets.base import Dataset, LoadedDataset
from melanoma_exp.data.division import divide
from melanoma_exp.data.inputs.encoded import EncodedMetadata, encode
from melanoma_exp.data.inputs.encoding import Encoding
from melanoma_exp.data.loader import Loader, Reader
from melanoma_exp.data.samples import Parts, Plan, Samples
from melanoma_exp.data.splits import Split
from melanoma_exp.spec import UserError


@dataclass(frozen=True)
class DataModule:
    """Images, their split, the plan of an epoch and the loaders that follow from them.

    Attributes:
        kind: The option of the group `dataset`.
        alerts: The classes of each alert by its name; decisions are for the first one.
        data: The dataset: rows, decoded pixels and the survey of all files.
        parts: Train, val and test; train is balanced, in rows or by their weights in the plan.
        plan: The rows of an epoch, synthetic children included, and the class weights.
        unbalanced: The training images before balancing.
        reader: Gives the pixels of any row.
        leak: By name the share of rows that training should not have seen and has.
        audit: What is wrong with the files.
        augment: The policy of the training loader.
        balance: The option of the group `balance` that made the plan.
        seed: Of shuffling, augmentation and synthetic children.
    """

    kind: str
    alerts: Mapping[str, tuple[str, ...]]
    data: LoadedDataset
    parts: Parts
    plan: Plan
    unbalanced: Samples
    reader: Reader
    leak: dict[str, float]
    audit: cached.Audit
    augment: Policy
    balance: str
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the logits."""
        return self.data.samples.classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width and channels of an image."""
        height, width, channels = self.data.pixels.shape[1:]
        return height, width, channels

    @property
    def leaky(self) -> bool:
        """Whether anything that should be unseen was seen in training."""
        return any(share > 0 for share in self.leak.values())

    @property
    def split_digest(self) -> str:
        """Identifies which original image is in which part, however train is balanced."""
        return replace(self.parts, train=self.unbalanced).digest

    @property
    def metadata(self) -> EncodedMetadata | None:
        """What the network sees beside the images, None where that is nothing."""
        return self.reader.metadata

    @property
    def encoding(self) -> Encoding | None:
        """How metadata become vectors, None where the network sees none."""
        return None if self.metadata is None else self.metadata.encoding

    @property
    def facts(self) -> dict[str, str]:
        """Digests of what the network sees, by name: the images, and the metadata if any."""
        metadata = {} if self.metadata is None else {"metadata": self.metadata.digest}
        return {"dataset": self.data.digest, **metadata}

    @property
    def nbytes(self) -> int:
        """Size on disk of all decoded images and synthetic children."""
        return self.reader.pixels.nbytes + self.reader.children.nbytes

    def train_loader(self, batch_size: int) -> Loader:
        """Returns the shuffled, weighted and augmented batches of the plan."""
        return Loader.training(self.plan, self.reader, self.augment, batch_size, self.seed)

    def val_loader(self, batch_size: int) -> Loader:
        """Returns the validation images in order."""
        return Loader(self.parts.val, self.reader, batch_size)

    def notes(self) -> list[str]:
        """Returns what a reader should know before believing the result, a sentence each."""
        found = [*self.data.notes, *findings.summary(self.audit.findings)]
        if (self.parts.val.official == "val").all():
            found.append(f"validation is the official part ({len(self.parts.val)} images)")
        elif (self.data.samples.official == "val").any():
            found.append("the official validation part is not used for validation")
        guarded, others = _unused(self.data.samples, self.parts)
        val = (self.data.samples.official == "val").any()
        held_out = "test set or validation part" if val else "test set"
        if guarded:
            found.append(
                f"{guarded} training images share a group with the official {held_out} and are "
                "left out"
            )
        if others:
            found.append(f"{others} images are in no part (left out by balancing or by the split)")
        if self.leaky:
            shares = ", ".join(f"{name} {share:.3f}" for name, share in self.leak.items())
            found.append(f"LEAKY: this order of steps lets training see validation: {shares}")
        found += self._absent_classes()
        kind, has_children = self.augment.kind, (self.parts.train.copy > 0).any()
        idle = not (self.augment.online or self.augment.batch or has_children)
        if kind != "none" and idle:
            found.append(
                f"augment={kind} draws synthetic children only, and balance={self.balance} asks "
                "for none: nothing is augmented"
            )
        return found

    def _absent_classes(self) -> list[str]:
        """Returns a note for each part that lacks a class, and what that leaves unknown."""
        names = {"train": "training", "val": "validation", "test": "test"}
        found = []
        for part, samples in self.parts.items():
            absent = [c for c, n in zip(self.classes, samples.counts(), strict=True) if not n]
            if not absent or not len(samples):
                continue
            unknown = [alert for alert, of in self.alerts.items() if of and set(of) <= set(absent)]
            threshold = ": no threshold for " + ", ".join(unknown) if unknown else ""
            found.append(
                f"no {names[part]} image of: {', '.join(absent)}"
                + {"train": "", "val": threshold}.get(part, ": nothing is known of them there")
            )
        return found


def prepare(
    dataset: Dataset,
    data: LoadedDataset,
    split: Split,
    balance: Balance,
    augment: Policy,
    seed: int,
    cache: Path,
) -> DataModule:
    """Splits a loaded dataset, plans an epoch and makes the synthetic children.

    Args:
        dataset: The option of its group.
        data: What it has loaded.
        split: Divides it into train, val and test.
        balance: Plans an epoch of the training part.
        augment: Draws the synthetic children and varies images in training.
        seed: The run's seed.
        cache: The folder of cached data.

    Raises:
        UserError: No training or validation image is left, or those of one class alone; or the
            metadata cannot be used; or the cache cannot be written.
    """
    parts, plan, unbalanced = divide(data.samples, split, balance, seed)
    for name, part in (("training", parts.train), ("validation", parts.val)):
        if not len(part):
            images, classes = len(data.samples), len(part.classes)
            each = f", which are of {classes} classes" if 2 * classes > images else ""
            each += ", all one group (names, pixels, column)" * (len(set(data.samples.group)) == 1)
            raise UserError(f"split: leaves no {name} images out of {images}{each}")
        if np.count_nonzero(part.counts()) < 2:
            only = part.classes[part.label[0]]
            hint = dataset.how_to_label() or "two classes or more are needed"
            what = f"all {len(part)} {name} images of {len(data.samples)}"
            raise UserError(f"{what} are of one class, {only}: {hint}")
    metadata = None
    if dataset.inputs is not None:
        images = len(data.pixels)
        metadata = encode(dataset.inputs, data.samples, unbalanced, data.metadata, images)
    origin = Origin(data.pixels, data.digest, dataset.kind)
    reader = make_reader(parts.train.join(parts.val), origin, augment, seed, cache)
    audit = cached.audit(data.survey, cache)
    return DataModule(
        kind=dataset.kind,
        alerts=dataset.alerts_among(data.samples.classes),
        data=data,
        parts=parts,
        plan=plan,
        unbalanced=unbalanced,
        reader=replace(reader, metadata=metadata),
        leak=parts.leak(),
        audit=audit,
        augment=augment,
        balance=balance.kind,
        seed=seed,
    )


def evaluated(
    dataset: Dataset, data: LoadedDataset, parts: Parts, leak: dict[str, float], cache: Path
) -> DataModule:
    """Returns the data module of a run that trains nothing, such as an ensemble's.

    Args:
        dataset: The option of its group.
        data: What it has loaded.
        parts: Originals alone; train is what the networks were trained on.
        leak: By name the share of rows that a network was evaluated on and has seen.
        cache: The folder of cached data.

    Raises:
        UserError: The cache cannot be written.
    """
    children = np.empty((0, *data.pixels.shape[1:]), np.uint8)
    return DataModule(
        kind=dataset.kind,
        alerts=dataset.alerts_among(data.samples.classes),
        data=data,
        parts=parts,
        plan=Plan(parts.train, np.ones(len(data.samples.classes))),
        unbalanced=parts.train,
        reader=Reader(data.pixels, children),
        leak=leak,
        audit=cached.audit(data.survey, cache),
        augment=NoAugment(kind="none", online=False, batch=()),
        balance="none",
        seed=0,
    )


def _unused(originals: Samples, parts: Parts) -> tuple[int, int]:
    """Returns how many images are in no part: of a group that is held out, and others."""
    used = np.concatenate([part.source for _, part in parts.items()])
    unused = originals.take(~np.isin(originals.source, used))
    official = originals.group[originals.official != "train"]
    guarded = int(np.isin(unused.group, official).sum())
    return guarded, len(unused) - guarded

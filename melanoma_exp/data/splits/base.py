"""The contract of a split: which image trains, which validates, which tests.

`apply` takes all samples and returns three parts. Honest splits never cut a group, keep the class
shares of every part as even as groups allow, leave the publisher's test folder a test folder, and
keep training images that share a group with it out of training. `published` is the one leaky order,
for reproduction: there classes are balanced first and the split comes after.
"""

from typing import ClassVar

import numpy as np
from pydantic import Field

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.spec import Spec
from melanoma_exp.system.randomness import Purpose, address, generator


class Split(Spec):
    """Base of all splits.

    Attributes:
        train_per_class: For learning curves: at most so many training images of a class, in a
            random order of all images that never changes, so that fewer are a subset of more; null
            keeps all. Validation and test images stay the same.
    """

    kind: str
    balances_first: ClassVar[bool] = False
    train_per_class: int | None = Field(ge=1)

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test."""
        raise NotImplementedError

    def limit(self, train: Samples) -> Samples:
        """Returns the training images that `train_per_class` leaves, in their order."""
        if self.train_per_class is None:
            return train
        # One number an image, whatever the others are: fewer images are a subset of more.
        draws = np.array(
            [generator(0, Purpose.SUBSET, address(str(i))).random() for i in train.source]
        )
        keep = np.zeros(len(train), bool)
        for label in range(len(train.classes)):
            rows = np.flatnonzero(train.label == label)
            keep[rows[np.argsort(draws[rows])[: self.train_per_class]]] = True
        return train.take(keep)


def assign_groups(samples: Samples, shares: list[float], seed: int) -> np.ndarray:
    """Assigns whole groups to parts so that every part gets its share of every class.

    Greedy: groups in decreasing size, ties in random order, each to the part that lacks most of the
    group's classes relative to what that part should get.

    Args:
        samples: The rows to divide.
        shares: The share of rows of each part, sum 1.
        seed: Orders groups of equal size.

    Returns:
        int64 (n,), the part of each row.
    """
    _, member = np.unique(samples.group, return_inverse=True)
    content = np.zeros((member.max(initial=-1) + 1, len(samples.classes)))
    np.add.at(content, (member, samples.label), 1)
    target = np.outer(shares, samples.counts())
    lacking = target.copy()
    scale = 1 / np.maximum(target, 1e-9)
    tie = generator(seed, Purpose.SPLIT).permutation(len(content))
    part = np.empty(len(content), np.int64)
    for group in np.lexsort((tie, -content.sum(axis=1))):
        need = (lacking * scale * content[group]).sum(axis=1)
        part[group] = np.argmax(np.where(np.array(shares) > 0, need, -np.inf))
        lacking[part[group]] -= content[group]
    return part[member]


def official_parts(samples: Samples) -> tuple[Samples, Samples]:
    """Returns the rows the publisher meant for training and those meant for testing."""
    test = samples.official == "test"
    return samples.take(~test), samples.take(test)


def guarded(train: Samples, val: Samples, test: Samples, guard: bool) -> Parts:
    """Drops what shares a group with test, and from train what shares one with val, if asked to."""
    if guard:
        train, val = (part.take(~np.isin(part.group, test.group)) for part in (train, val))
        train = train.take(~np.isin(train.group, val.group))
    return Parts(train, val, test)

"""Which image trains, which validates, which tests.

`apply` takes all samples and returns three parts. Honest splits never cut a group, keep the class
shares of every part as even as groups allow, leave the publisher's test folder a test folder, and
keep training images that share a group with it out of training. `published` is the one leaky order,
for reproduction: there the runner balances first and splits after.
"""

import csv
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.spec import Spec, UserError
from melanoma_exp.system.randomness import Purpose, generator


class Split(Spec):
    """Base of all splits."""

    kind: str

    balances_first: ClassVar[bool] = False

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test."""
        raise NotImplementedError


class Holdout(Split):
    """One stratified, grouped split; `test` is used where the publisher set no test part aside."""

    kind: Literal["holdout"]
    val: float = Field(gt=0, lt=1)
    test: float = Field(ge=0, lt=1)
    seed: int = Field(ge=0)
    guard_test: bool

    @model_validator(mode="after")
    def _leaves_training_images(self) -> Self:
        if self.val + self.test >= 1:
            raise ValueError(
                f"val + test must be below 1 to leave training images (got {self.val + self.test})"
            )
        return self

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test."""
        pool, test = _official(samples)
        shares = [1 - self.val, self.val]
        if not len(test):
            shares = [1 - self.val - self.test, self.val, self.test]
        part = assign_groups(pool, shares, self.seed)
        test = test if len(test) else pool.take(part == 2)
        return _guarded(pool.take(part == 0), pool.take(part == 1), test, self.guard_test)


class KFold(Split):
    """Fold `fold` of `folds` validates; stratified and grouped, every image validates once.

    Where the publisher set no test part aside the share `test` is cut off first, the same one for
    all folds.
    """

    kind: Literal["kfold"]
    folds: int = Field(ge=2)
    fold: int = Field(ge=0)
    test: float = Field(ge=0, lt=1)
    seed: int = Field(ge=0)
    guard_test: bool

    @model_validator(mode="after")
    def _fold_exists(self) -> Self:
        if self.fold >= self.folds:
            raise ValueError(
                f"fold {self.fold} is out of range: {self.folds} folds are 0..{self.folds - 1}"
            )
        return self

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test."""
        pool, test = _official(samples)
        if not len(test) and self.test:
            part = assign_groups(pool, [1 - self.test, self.test], self.seed)
            pool, test = pool.take(part == 0), pool.take(part == 1)
        fold = assign_groups(pool, [1 / self.folds] * self.folds, self.seed + 1)
        train, val = pool.take(fold != self.fold), pool.take(fold == self.fold)
        return _guarded(train, val, test, self.guard_test)


class Published(Split):
    """The order everybody published: balance first, then cut the shuffled list of all files.

    Reproduces Keras' `validation_split` over class folders: paths sorted by class and name,
    shuffled with `seed`, the last share validates. Groups are cut and children of one image land on
    both sides; the run measures that and is tagged leaky.
    """

    balances_first: ClassVar[bool] = True
    kind: Literal["published"]
    val: float = Field(gt=0, lt=1)
    seed: int = Field(ge=0, lt=2**32)

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples, children included, into train, val and test."""
        pool, test = _official(samples)
        order = np.arange(len(pool))
        np.random.RandomState(self.seed).shuffle(order)
        cut = len(order) - int(self.val * len(order))
        return Parts(pool.take(order[:cut]), pool.take(order[cut:]), test)


class File(Split):
    """A split somebody else made: a CSV with the columns `id` and `part`.

    A part is train, val, test or unused. The `split.csv` of any honest run is one.
    """

    kind: Literal["file"]
    path: Path

    def apply(self, samples: Samples) -> Parts:
        """Divides all samples into train, val and test.

        Raises:
            UserError: The file cannot be read, names unknown images, misses some, names one
                twice, has an unknown part, or cuts a group.
        """
        where = self._read()
        known = set(map(str, samples.source))
        problems = [
            (sorted(set(where) - known), "names images that the dataset does not have"),
            (sorted(known - set(where)), "misses images of the dataset"),
        ]
        part = np.array([where.get(str(s), "") for s in samples.source], dtype=str)
        for name, others in (("train", ("val", "test")), ("val", ("test",))):
            shared = np.isin(samples.group, samples.group[part == name]) & np.isin(part, others)
            problems.append((sorted(map(str, samples.source[shared])), f"cuts groups of {name} at"))
        lines = [
            f"{self.path}: {what}: {', '.join(ids[:3])}{' …' * (len(ids) > 3)} ({len(ids)} images)"
            for ids, what in problems
            if ids
        ]
        if lines:
            raise UserError(*lines)
        return Parts(*(samples.take(part == name) for name in ("train", "val", "test")))

    def _read(self) -> dict[str, str]:
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise UserError(f"split.path: cannot read {self.path}: {error}") from error
        where: dict[str, str] = {}
        for line, row in enumerate(rows, 2):
            image, part = row.get("id"), row.get("part")
            if image and image.startswith(f"{row.get('source')}#"):
                continue  # a synthetic child of a logged split: balancing makes its own
            if not image or part not in ("train", "val", "test", "unused"):
                raise UserError(
                    f"{self.path}, line {line}: expected an id and a part train, val, test or "
                    f"unused, got id={image!r} part={part!r}"
                )
            if image in where:
                raise UserError(f"{self.path}, line {line}: {image} is named twice")
            where[image] = part
        return where


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


def _official(samples: Samples) -> tuple[Samples, Samples]:
    """Returns the rows the publisher meant for training and those meant for testing."""
    test = samples.official == "test"
    return samples.take(~test), samples.take(test)


def _guarded(train: Samples, val: Samples, test: Samples, guard: bool) -> Parts:
    """Drops from train and val what shares a group with the test part, if asked to."""
    if guard:
        train, val = (part.take(~np.isin(part.group, test.group)) for part in (train, val))
    return Parts(train, val, test)


AnySplit = Annotated[Holdout | KFold | Published | File, Field(discriminator="kind")]

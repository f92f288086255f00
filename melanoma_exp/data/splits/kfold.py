"""Cross-validation: stratified, grouped folds."""

from typing import Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.data.splits.base import Split, assign_groups, guarded, official_parts


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
        pool, test = official_parts(samples)
        if not len(test) and self.test:
            part = assign_groups(pool, [1 - self.test, self.test], self.seed)
            pool, test = pool.take(part == 0), pool.take(part == 1)
        fold = assign_groups(pool, [1 / self.folds] * self.folds, self.seed + 1)
        train, val = pool.take(fold != self.fold), pool.take(fold == self.fold)
        return guarded(train, val, test, self.guard_test)

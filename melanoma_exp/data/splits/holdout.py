"""One stratified, grouped split."""

from typing import Literal, Self

from pydantic import Field, model_validator

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.data.splits.base import Split, assign_groups, guarded, official_parts


class Holdout(Split):
    """One stratified, grouped split; `test` is used where the publisher set no test part aside.

    With `official_val` so is `val`: the publisher's validation part validates.
    """

    kind: Literal["holdout"]
    val: float = Field(gt=0, lt=1)
    test: float = Field(ge=0, lt=1)
    official_val: bool
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
        pool, test = official_parts(samples)
        chosen = (pool.official == "val") & self.official_val
        val, pool = pool.take(chosen), pool.take(~chosen)
        drawn_val = 0.0 if len(val) else self.val
        drawn_test = 0.0 if len(test) else self.test
        shares = [1 - drawn_val - drawn_test, drawn_val, drawn_test]
        part = assign_groups(pool, shares, self.seed)
        return guarded(
            pool.take(part == 0),
            val if len(val) else pool.take(part == 1),
            test if len(test) else pool.take(part == 2),
            self.guard_test,
        )

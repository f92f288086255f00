"""Which members may score which image: those that trained neither on it nor on its group."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.spec import UserError


@dataclass(frozen=True)
class Scoring:
    """The parts of an ensemble and who scores them.

    Attributes:
        parts: Train is what any member trained on. Val is what validated any member and at least
            one did not train on, so that an image may be in train and val. Test is what tests all
            members.
        scorers: For val and test bool (n, members): the members that did not train on the image
            nor on another of its group.
        leak: By name the share of rows that a scoring member has seen in training: 0, measured.
    """

    parts: Parts
    scorers: Mapping[str, NDArray[np.bool_]]
    leak: dict[str, float]

    @property
    def fewest_and_most(self) -> str:
        """How many members score a validation image, in words: `1`, or `2 to 5`."""
        counts = self.scorers["val"].sum(axis=1)
        low, high = counts.min(), counts.max()
        return f"{low}" if low == high else f"{low} to {high}"

    def scored_rows(self, part: str) -> Iterator[tuple[int, NDArray[np.intp]]]:
        """Yields for each member the rows of a part that it scores."""
        for member, column in enumerate(self.scorers[part].T):
            yield member, np.flatnonzero(column)


def assign(samples: Samples, members: Sequence[Mapping[str, Collection[str]]]) -> Scoring:
    """Divides the images of a dataset for an ensemble.

    Args:
        samples: All images of the dataset.
        members: For each member the source ids of its train, val and test part.

    Raises:
        UserError: No image is left for validation.
    """

    def where(part: str) -> NDArray[np.bool_]:
        """Which images are in a part, bool (n, members)."""
        return np.stack([np.isin(samples.source, list(m[part])) for m in members], axis=1)

    train = where("train")
    group_in_train = np.stack([np.isin(samples.group, samples.group[t]) for t in train.T], axis=1)
    unseen = ~(train | group_in_train)
    is_test = np.all(where("test") & unseen, axis=1)
    is_val = np.any(where("val"), axis=1) & np.any(unseen, axis=1) & ~is_test
    if not is_val.any():
        raise UserError(
            "ensemble: every image that validated a member, or one of its group, is in the "
            "training part of all members: none is left to measure the ensemble on"
        )
    masks = {"train": np.any(train, axis=1), "val": is_val, "test": is_test}
    scorers = {part: unseen[masks[part]] for part in ("val", "test")}

    def share(part: str, seen: NDArray[np.bool_]) -> float:
        rows = np.any(seen[masks[part]] & scorers[part], axis=1)
        return float(rows.mean()) if len(rows) else 0.0

    leak = {
        "leak/val_rows_with_train_source": share("val", train),
        "leak/val_rows_with_train_group": share("val", group_in_train),
        "leak/test_rows_with_train_group": share("test", group_in_train),
    }
    return Scoring(Parts(*(samples.take(mask) for mask in masks.values())), scorers, leak)

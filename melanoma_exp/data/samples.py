"""The table that every stage passes on: one row per image, synthetic children included.

A row is an original image (`copy == 0`) or the `copy`-th synthetic child of one. `image` is the row
of the decoded pixels and is the same for a child and its source, so a child always names its
source.
"""

import io
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from melanoma_exp.spec import digest
from melanoma_exp.system.shown import TableWriter

COLUMNS = ("image", "source", "copy", "label", "group", "official")


@dataclass(frozen=True)
class Samples:
    """Rows of images as parallel columns.

    Attributes:
        classes: Class names; a label is an index into them.
        image: int64 (n,), row of the decoded pixels; a child has its source's.
        source: str (n,), id of the original image, unique among originals.
        copy: int64 (n,), 0 for an original, k > 0 for the k-th child of its source.
        label: int64 (n,), index into `classes`.
        group: str (n,), images that must stay on one side of a split share it.
        official: str (n,), "train", "val" or "test": the part the publisher put it in.
    """

    classes: tuple[str, ...]
    image: np.ndarray
    source: np.ndarray
    copy: np.ndarray
    label: np.ndarray
    group: np.ndarray
    official: np.ndarray

    def __len__(self) -> int:
        """Returns the number of rows."""
        return len(self.image)

    @property
    def id(self) -> np.ndarray:
        """Unique row names, str (n,): the source's id, with `#k` for its k-th child."""
        return np.array(
            [f"{s}#{k}" if k else str(s) for s, k in zip(self.source, self.copy, strict=True)],
            dtype=str,
        )

    def take(self, rows: np.ndarray) -> Self:
        """Returns the given rows (a boolean mask or int indices), in the given order."""
        columns: dict[str, Any] = {name: getattr(self, name)[rows] for name in COLUMNS}
        return replace(self, **columns)

    def children(self, parents: np.ndarray) -> Self:
        """Returns one synthetic child for each listed row; a repeated parent gets further copies.

        Args:
            parents: int (m,), row numbers, repeats allowed.
        """
        order = np.argsort(parents, kind="stable")
        ordered = parents[order]
        _, first, count = np.unique(ordered, return_index=True, return_counts=True)
        copy = np.empty(len(parents), np.int64)
        copy[order] = np.arange(len(parents)) - np.repeat(first, count) + 1
        return replace(self.take(parents), copy=copy)

    def join(self, other: Self) -> Self:
        """Returns the rows of both, these first."""
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in COLUMNS
        }
        return replace(self, **columns)

    def counts(self) -> np.ndarray:
        """Returns the number of rows of each class, int64 (len(classes),)."""
        return np.bincount(self.label, minlength=len(self.classes))


@dataclass(frozen=True)
class Plan:
    """What one epoch of training sees.

    Attributes:
        samples: The training rows, synthetic children included.
        class_weight: float64 (number of classes,), the loss weight of each class, mean 1 over rows.
        weights: float64 (n,), how often each row is drawn relative to the others, with replacement;
            None visits every row once.
        draws: Rows drawn an epoch where `weights` are given; None draws as many as there are.
        from_epoch: The epoch, from 1, before which all rows and classes weigh alike.
    """

    samples: Samples
    class_weight: np.ndarray
    weights: np.ndarray | None = None
    draws: int | None = None
    from_epoch: int = 1

    @property
    def per_epoch(self) -> int:
        """Images per epoch."""
        return len(self.samples) if self.draws is None else self.draws

    @property
    def class_shares(self) -> dict[str, float]:
        """By class its share of what training sees: of the rows drawn, times its loss weight."""
        weights = np.ones(len(self.samples)) if self.weights is None else self.weights
        classes = self.samples.classes
        seen = np.bincount(self.samples.label, weights, len(classes)) * self.class_weight
        return dict(zip(classes, (seen / seen.sum()).tolist(), strict=True))

    @property
    def digest(self) -> str:
        """Identifies what an epoch sees, independent of the order of rows."""
        weights = np.ones(len(self.samples)) if self.weights is None else self.weights
        rows = zip(map(str, self.samples.id), weights.tolist(), strict=True)
        drawn = self.weights is not None
        deferred = [self.from_epoch] if self.from_epoch > 1 else []
        return digest([sorted(rows), self.class_weight.tolist(), drawn, self.per_epoch, *deferred])


@dataclass(frozen=True)
class Parts:
    """The three sides of a split; `test` may be empty."""

    train: Samples
    val: Samples
    test: Samples

    def items(self) -> list[tuple[str, Samples]]:
        """Returns the parts with their names, in the order train, val, test."""
        return [("train", self.train), ("val", self.val), ("test", self.test)]

    def to_csv(self, originals: Samples) -> str:
        """Returns the split as CSV text: id, source, group, label, part; one row per sample.

        Args:
            originals: All images there are; those in no part are listed as `unused`.
        """
        used = np.concatenate([samples.source for _, samples in self.items()])
        unused = originals.take(~np.isin(originals.source, used))
        text = io.StringIO()
        writer = TableWriter(text)
        writer.writerow(["id", "source", "group", "label", "part"])
        for part, samples in [*self.items(), ("unused", unused)]:
            names = [samples.classes[k] for k in samples.label]
            columns = (samples.id, samples.source, samples.group, names)
            writer.writerows((*row, part) for row in zip(*columns, strict=True))
        return text.getvalue()

    @property
    def digest(self) -> str:
        """Identifies the split: which original image is where, independent of the order of rows."""
        originals = {part: samples.take(samples.copy == 0) for part, samples in self.items()}
        return digest({part: sorted(map(str, s.source)) for part, s in originals.items()})

    def leak(self) -> dict[str, float]:
        """Measures how much of what should be unseen the training set has seen.

        Returns:
            Shares in [0, 1]: validation rows whose source image is in train, validation rows whose
            group is in train, test rows whose group is in train. Honest splits give 0 for all.
        """

        def share(part: Samples, column: str) -> float:
            if not len(part):
                return 0.0
            return float(np.isin(getattr(part, column), getattr(self.train, column)).mean())

        return {
            "leak/val_rows_with_train_source": share(self.val, "source"),
            "leak/val_rows_with_train_group": share(self.val, "group"),
            "leak/test_rows_with_train_group": share(self.test, "group"),
        }

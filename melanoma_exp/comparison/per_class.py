"""Recall and confusion of each class, summed over a row's runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.comparison.rows import Row


@dataclass(frozen=True)
class Confusion:
    """Of one row on one part: int64 (true, predicted), summed over runs."""

    row: Row
    count: np.ndarray
    images: str

    @property
    def recall(self) -> np.ndarray:
        """Float64 (classes,), NaN for a class without images."""
        size = self.count.sum(axis=1)
        return np.where(size > 0, np.diag(self.count) / np.maximum(size, 1), np.nan)

    @property
    def share(self) -> np.ndarray:
        """Float64 (true, predicted), of each true class, 0 for one without images."""
        return self.count / np.maximum(self.count.sum(axis=1, keepdims=True), 1)


def confusions(rows: Sequence[Row], part: str, classes: int) -> list[Confusion]:
    """Counts the predictions of each row's runs on a part; rows without the part are left out."""
    found = []
    for row in rows:
        runs = [run.parts[part] for run in row.runs if part in run.parts]
        if not runs:
            continue
        count = np.zeros((classes, classes), np.int64)
        for predictions in runs:
            np.add.at(count, (predictions.label, predictions.predicted), 1)
        sizes = {len(predictions.ids) for predictions in runs}
        images = f"{min(sizes)}" if len(sizes) == 1 else f"{min(sizes)} to {max(sizes)}"
        found.append(Confusion(row, count, images))
    return found

"""The cost of a row: training time and inference FLOPs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.comparison.rows import Mean, Row
from melanoma_exp.tracking.archive import Archive


@dataclass(frozen=True)
class Cost:
    """The cost of one row; NaN where it was not recorded.

    Attributes:
        wall: Training time in seconds.
        cpu: CPU-seconds of training, all threads.
        epochs: Trained, mean over runs.
        rate: Training images a second, median over epochs.
        parameters: Weights.
        flops: Floating-point operations of a forward pass of one image.
    """

    row: Row
    wall: Mean
    cpu: Mean
    epochs: float
    rate: float
    parameters: float
    flops: float


def of_row(archive: Archive, row: Row) -> Cost:
    """Reads a row's cost from its runs."""
    rates = [archive.series(run.stored.id, "images_per_second") for run in row.runs]
    return Cost(
        row,
        row.mean("seconds/fit"),
        row.mean("seconds/fit_cpu"),
        _mean([len(r) for r in rates]),
        _median([value for points in rates for _, value in points]),
        row.mean("parameters").value,
        row.mean("flops_per_image").value,
    )


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values)) if any(values) else math.nan


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan

"""What a row cost to train and costs to use."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter

from melanoma_exp.comparison.rows import Mean, Row
from melanoma_exp.models import AnyModel
from melanoma_exp.models import flops as cost
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive


@dataclass(frozen=True)
class Cost:
    """Of one row; NaN where it was not recorded.

    Attributes:
        wall: Seconds of training.
        cpu: CPU-seconds of training, all threads.
        epochs: Trained, mean over runs.
        rate: Training images a second, the median over epochs.
        parameters: Weights.
        flops: Floating-point operations of one image going forward.
    """

    row: Row
    wall: Mean
    cpu: Mean
    epochs: float
    rate: float
    parameters: float
    flops: float


def of_row(archive: Archive, row: Row, classes: int) -> Cost:
    """Reads a row's cost from its runs; what the network costs is counted from its config."""
    rates = [archive.series(run.stored.id, "images_per_second") for run in row.runs]
    return Cost(
        row,
        row.mean("seconds/fit"),
        row.mean("seconds/fit_cpu"),
        _mean([len(r) for r in rates]),
        _median([value for points in rates for _, value in points]),
        row.mean("parameters").value,
        _flops(archive, row, classes),
    )


def _flops(archive: Archive, row: Row, classes: int) -> float:
    """Counts from the network alone, for other groups may have been written by another version."""
    try:
        content = json.loads(archive.text(row.runs[0].stored, "experiment.json"))
        network: AnyModel = TypeAdapter(AnyModel).validate_python(content["model"])
        height, width = content["dataset"]["image_size"]
    except (UserError, ValueError, KeyError):
        return math.nan
    return float(cost.count(network, (height, width), classes).flops)


def _mean(values: Sequence[int]) -> float:
    return float(np.mean(values)) if any(values) else math.nan


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan

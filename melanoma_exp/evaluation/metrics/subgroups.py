"""Metrics of subgroups, by age, sex, site and other columns of the metadata."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.cells import is_unknown
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals.areas import area

UNKNOWN = "unknown"


@dataclass(frozen=True)
class Subgroup:
    """Images that share a value of an attribute.

    Attributes:
        attribute: age, sex, site, ...
        value: "unknown" where it is missing; "" where the attribute has no column.
        images: How many; 0 where the attribute has no column.
        groups: Groups of images among them.
        positives: Images of the alerted class among them.
        metrics: accuracy (predicted class), and of the alert sensitivity, specificity and auc.
        note: "not assessable: ..." and why, or "".
    """

    attribute: str
    value: str
    images: int
    groups: int
    positives: int
    metrics: dict[str, Estimate]
    note: str


METRICS = ("accuracy", "sensitivity", "specificity", "auc")


def evaluate(
    metadata: Sequence[Mapping[str, str]],
    attributes: Mapping[str, Sequence[str]],
    ages: Sequence[int],
    correct: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    plain: Floats,
    alerted: NDArray[np.bool_],
    decision: Decision,
    bootstrap: Bootstrap,
) -> list[Subgroup]:
    """Returns a row for each value of each attribute, the unknown last.

    Args:
        metadata: Columns of each of the n images.
        attributes: For each attribute the columns it may stand in.
        ages: Where the bands of the attribute `age` begin, ascending.
        correct: bool (n,), whether the predicted class is the true one.
        positive: bool (n,), whether the image is of the alerted class.
        plain: float64 (n,), probability of the alerted class, not calibrated, for the auc.
        alerted: bool (n,), whether the decision alerts the image.
        decision: Chosen on validation.
        bootstrap: Of the n rows.
    """
    found = []
    for attribute, columns in attributes.items():
        column = next((c for c in columns if any(c in row for row in metadata)), None)
        if column is None:
            note = f"not assessable: the metadata have no column {' or '.join(columns)}"
            found.append(Subgroup(attribute, "", 0, 0, 0, {}, note))
            continue
        texts = [row.get(column, "").strip() for row in metadata]
        values = np.array([_value(attribute, text, ages) for text in texts], dtype=str)
        names = sorted(set(values), key=lambda v: (v == UNKNOWN, not v.startswith("under"), v))
        for name in names:
            rows = np.flatnonzero(values == name)
            found.append(
                Subgroup(
                    attribute,
                    name,
                    len(rows),
                    len(np.unique(bootstrap.index[rows])),
                    int(positive[rows].sum()),
                    _metrics(rows, correct, positive, plain, alerted, decision, bootstrap),
                    "",
                )
            )
    return found


def _metrics(
    rows: NDArray[np.intp],
    correct: NDArray[np.bool_],
    positive: NDArray[np.bool_],
    plain: Floats,
    alerted: NDArray[np.bool_],
    decision: Decision,
    bootstrap: Bootstrap,
) -> dict[str, Estimate]:
    inside = np.zeros(len(correct), bool)
    inside[rows] = True
    ranking = Ranking(positive[rows], plain[rows], bootstrap, rows)
    has_threshold = decision.threshold is not None
    return {
        "accuracy": bootstrap.share(correct, inside),
        "sensitivity": bootstrap.share(alerted, inside & positive & has_threshold),
        "specificity": bootstrap.share(~alerted, inside & ~positive & has_threshold),
        "auc": area([ranking], bootstrap),
    }


def _value(attribute: str, text: str, ages: Sequence[int]) -> str:
    if is_unknown(text):
        return UNKNOWN
    if attribute != "age":
        return text
    try:
        age = float(text)
    except ValueError:
        return UNKNOWN
    if not math.isfinite(age) or not 0 <= age <= 130:
        return UNKNOWN
    below = [start for start in ages if start <= age]
    above = [start for start in ages if start > age]
    if not below:
        return f"under {above[0]}" if above else "all"
    return f"{below[-1]} to {above[0] - 1}" if above else f"{below[-1]} and over"

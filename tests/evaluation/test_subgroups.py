"""Subgroups are those of the metadata, counted, with wide intervals where they are small."""

from typing import Any

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics.decision import Basis, Decision
from melanoma_exp.evaluation.metrics.interval import Bootstrap
from melanoma_exp.evaluation.metrics.subgroups import Subgroup, evaluate

DECISION = Decision(
    "melanoma", ("melanoma",), 1.0, 0.5, "", (0.5, 0.5), Basis(9, 3, 1.0, 1.0), None
)
COLUMNS = {"age": ["age", "age_approx"], "sex": ["sex"], "skin tone": ["fitzpatrick"]}


def found(metadata: list[dict[str, str]], **changes: Any) -> dict[tuple[str, str], Subgroup]:
    n = len(metadata)
    positive = np.arange(n) % 2 == 0
    chance = np.where(np.arange(n) % 3 == 0, 0.8, 0.2)
    bootstrap = Bootstrap(np.array([f"g{k:03d}" for k in range(n)]), 200, 1, 0.95)
    given = {"attributes": COLUMNS, "ages": [30, 60], **changes}
    rows = evaluate(
        metadata,
        given["attributes"],
        given["ages"],
        chance > 0.5,
        positive,
        chance,
        DECISION.alerts(chance),
        DECISION,
        bootstrap,
    )
    return {(row.attribute, row.value): row for row in rows}


def test_an_attribute_without_a_column_is_not_assessable() -> None:
    rows = found([{"sex": "female"}] * 6)
    assert (
        "not assessable" in rows["skin tone", ""].note and "not assessable" in rows["age", ""].note
    )
    assert rows["skin tone", ""].images == 0 and rows["skin tone", ""].metrics == {}
    assert rows["sex", "female"].note == ""


def test_metrics_are_those_of_the_rows_alone() -> None:
    rows = found([{"sex": "female" if k < 8 else "male"} for k in range(20)])
    women = rows["sex", "female"]
    assert (women.images, women.groups, women.positives) == (8, 8, 4)
    # Rows 0 3 6 are alerted; of the positive ones 0 2 4 6 these are 0 and 6.
    assert women.metrics["sensitivity"].value == 0.5
    assert women.metrics["specificity"].value == 0.75
    assert women.metrics["accuracy"].value == 3 / 8
    # Of 16 pairs: 2 alerted positives over 3 calm others, ties 2 x 1 and 2 x 3.
    assert women.metrics["auc"].value == pytest.approx((6 + 0.5 * (2 + 6)) / 16)
    assert sum(row.images for (name, _), row in rows.items() if name == "sex") == 20


@pytest.mark.parametrize(
    ("text", "band"),
    [
        ("29.9", "under 30"),
        ("30", "30 to 59"),
        ("59", "30 to 59"),
        ("60.0", "60 and over"),
        ("0", "under 30"),
        ("", "unknown"),
        ("nan", "unknown"),
        ("old", "unknown"),
        ("-5", "unknown"),
        ("Unknown", "unknown"),
    ],
)
def test_ages_fall_into_bands(text: str, band: str) -> None:
    assert ("age", band) in found([{"age_approx": text}] * 2)


def test_bands_come_in_order_and_the_unknown_last() -> None:
    rows = found([{"age": text} for text in ("61", "", "12", "45")])
    names = [value for attribute, value in rows if attribute == "age"]
    assert names == ["under 30", "30 to 59", "60 and over", "unknown"]


def test_a_small_group_has_a_wide_interval() -> None:
    rows = found([{"sex": "male" if k == 0 else "female"} for k in range(30)])
    one = rows["sex", "male"].metrics
    assert one["sensitivity"].value == 1 and one["sensitivity"].low < 0.25
    assert np.isnan(one["specificity"].value) and np.isnan(one["auc"].value)

"""A decision survives its file to the bit, and damage is reported in one line."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from melanoma_exp.evaluation.metrics.decision import Basis, Decision, softmax
from melanoma_exp.spec import UserError

DECISION = Decision(
    "melanoma",
    ("melanoma",),
    1.7,
    1 / 3,
    "sensitivity >= 0.95 on validation",
    (0.1, 0.4),
    Basis(447, 88, 84 / 88, 0.6),
    None,
)


def test_a_decision_comes_back_unchanged() -> None:
    assert Decision.from_json(DECISION.to_json()) == DECISION
    none = dataclasses.replace(
        DECISION, threshold=None, unsure=None, out_of_distribution={"kind": "x"}
    )
    assert Decision.from_json(none.to_json()) == none


def test_a_file_with_the_old_key_novelty_is_still_read() -> None:
    content = json.loads(DECISION.to_json())
    del content["out_of_distribution"]
    old = Decision.from_json(json.dumps({**content, "novelty": {"limit": 3}}))
    assert old == dataclasses.replace(DECISION, out_of_distribution={"limit": 3})


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0},
        {"temperature": None},
        {"threshold": 1.2},
        {"threshold": None},
        {"unsure": [0.4, 0.5]},
        {"unsure": [0.1]},
        {"validation": {}},
        {"out_of_distribution": 3},
        {"surprise": 1},
        {"positive": "melanoma"},
    ],
)
def test_damage_is_reported_in_one_line(change: dict[str, Any]) -> None:
    text = json.dumps({**json.loads(DECISION.to_json()), **change})
    with pytest.raises(UserError, match="decision.json: is damaged") as refused:
        Decision.from_json(text)
    assert len(refused.value.lines) == 1 and "\n" not in refused.value.lines[0]


@pytest.mark.parametrize("text", ["", "{", "[]", DECISION.to_json()[:-40]])
def test_a_truncated_file_is_reported_in_one_line(text: str) -> None:
    with pytest.raises(UserError, match="decision.json: is damaged"):
        Decision.from_json(text)


def test_probabilities_are_scaled_and_summed_over_the_positive_classes() -> None:
    two = dataclasses.replace(DECISION, positive=("a", "c"))
    logits = np.log([[0.2, 0.5, 0.3]]) * 1.7
    np.testing.assert_allclose(two.probability(logits, ("a", "b", "c")), [0.5])
    with pytest.raises(UserError, match="different runs"):
        two.probability(logits, ("a", "b", "d"))


def test_the_threshold_itself_is_alerted_and_the_band_includes_its_edges() -> None:
    chance = np.array([0.09, 0.1, np.nextafter(1 / 3, 0), 1 / 3, 0.4, 0.41])
    assert DECISION.alerts(chance).tolist() == [False, False, False, True, True, True]
    assert DECISION.is_unsure(chance).tolist() == [False, True, True, True, True, False]
    without = dataclasses.replace(DECISION, threshold=None, unsure=None)
    assert not without.alerts(chance).any() and not without.is_unsure(chance).any()


def test_softmax_of_huge_logits_is_finite() -> None:
    np.testing.assert_array_equal(softmax(np.array([[1e4, -1e4]])), [[1, 0]])

"""The images explained are the telling ones, kind by kind."""

import numpy as np
import pytest

from melanoma_exp.evaluation import evaluate


def test_the_gravest_kind_comes_first_and_the_most_telling_of_each() -> None:
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    chance = np.array([0.1, 0.2, 0.9, 0.8, 0.7, 0.95, 0.05, 0.3])
    rows, verdicts = evaluate.choose(positive, chance > 0.5, chance, 6)
    assert rows.tolist() == [0, 1, 2, 3, 5, 4]
    assert verdicts == ["missed"] * 2 + ["found"] * 2 + ["false alarm"] * 2
    rows, verdicts = evaluate.choose(positive, chance > 0.5, chance, 2)
    assert rows.tolist() == [0, 2] and verdicts == ["missed", "found"]


@pytest.mark.parametrize("count", [3, 50])
def test_what_one_kind_leaves_goes_to_the_next(count: int) -> None:
    positive = np.array([1, 0, 0, 0, 0], bool)
    chance = np.array([0.9, 0.1, 0.4, 0.3, 0.2])
    rows, verdicts = evaluate.choose(positive, chance > 0.5, chance, count)
    expected = ["found"] + ["rightly calm"] * (min(count, 5) - 1)
    assert verdicts == expected and rows.tolist() == [0, 1, 4, 3, 2][: len(expected)]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("classes", {"melanoma": ("mel",), "malignant": ("bcc", "mel")}),
        ("melanoma", {"melanoma": ("melanoma",)}),
        ("malignant", {"malignant": ("malignant",)}),
    ],
)
def test_a_task_says_what_is_alerted(option, task: str, expected: dict[str, tuple[str]]) -> None:
    assert evaluate.alerts(option("dataset", "ham10000", task=task)) == expected

"""Grad-CAM is shown for the most telling images of each outcome."""

import numpy as np
import pytest

from melanoma_exp.evaluation.gradcam_examples import choose


def test_false_negatives_come_first_and_the_most_telling_of_each_outcome() -> None:
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0], bool)
    chance = np.array([0.1, 0.2, 0.9, 0.8, 0.7, 0.95, 0.05, 0.3])
    rows, outcomes = choose(positive, chance > 0.5, chance, 6)
    assert rows.tolist() == [0, 1, 2, 3, 5, 4]
    assert outcomes == ["false negative"] * 2 + ["true positive"] * 2 + ["false positive"] * 2
    rows, outcomes = choose(positive, chance > 0.5, chance, 2)
    assert rows.tolist() == [0, 2] and outcomes == ["false negative", "true positive"]


@pytest.mark.parametrize("count", [3, 50])
def test_room_one_outcome_leaves_goes_to_the_next(count: int) -> None:
    positive = np.array([1, 0, 0, 0, 0], bool)
    chance = np.array([0.9, 0.1, 0.4, 0.3, 0.2])
    rows, outcomes = choose(positive, chance > 0.5, chance, count)
    expected = ["true positive"] + ["true negative"] * (min(count, 5) - 1)
    assert outcomes == expected and rows.tolist() == [0, 1, 4, 3, 2][: len(expected)]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("classes", {"melanoma": ("mel",), "malignant": ("bcc", "mel")}),
        ("melanoma", {"melanoma": ("melanoma",)}),
        ("malignant", {"malignant": ("malignant",)}),
    ],
)
def test_alerts_follow_from_the_task(option, task: str, expected: dict[str, tuple[str]]) -> None:
    assert option("dataset", "ham10000", task=task).alerts == expected

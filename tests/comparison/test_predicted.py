"""A comparison counts the class that each run predicted, not the one that looks most probable."""

from typing import Any

import pytest

from melanoma_exp.comparison import images, per_class
from melanoma_exp.comparison.predictions import Evaluated, parse
from melanoma_exp.comparison.rows import Row

HEAD = "id,source,group,label,predicted,a,b\n"
# The second image is decided against its probabilities, as a prior correction may.
ONE = f"{HEAD}x,x,x,a,a,0.9,0.1\ny,y,y,b,b,0.6,0.4\n"
OTHER = f"{HEAD}x,x,x,a,a,0.8,0.2\ny,y,y,b,a,0.7,0.3\n"


def row(*texts: str) -> Row:
    stored: Any = None
    runs = tuple(Evaluated(stored, ("a", "b"), {"val": parse(t, ("a", "b"))}) for t in texts)
    return Row("A", "setup", runs, {})


def test_the_recorded_class_is_counted_and_paired() -> None:
    (found,) = per_class.confusions([row(ONE)], "val", 2)
    assert found.count.tolist() == [[1, 0], [0, 1]]
    assert images.answers(row(ONE), "val").predicted.tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("texts", "expected"), [((ONE,), [0, 1]), ((ONE, ONE, OTHER), [0, 1]), ((ONE, OTHER), [0, 0])]
)
def test_several_runs_answer_as_most_of_them_and_else_as_their_mean(
    texts: tuple[str, ...], expected: list[int]
) -> None:
    assert images.answers(row(*texts), "val").mostly.tolist() == expected

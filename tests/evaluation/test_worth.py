"""A network that knows nothing says so, and one that knows something is not accused."""

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation.evaluate import evaluate
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.worth import DRAWN
from melanoma_exp.report import console

ALERTS = {"melanoma": ("mel",)}


def decided(option: Any, logits: np.ndarray, truth: np.ndarray, drawn: bool = False) -> Decision:
    spec = option("evaluation", "default", resamples=100)
    n, classes = len(truth), ("mel", "nv", "bkl")
    ids = np.array([f"i{k:03}" for k in range(n)])
    zeros, official = np.zeros(n, int), np.full(n, "train")
    part = Samples(classes, np.arange(n), ids, zeros, truth, ids, official)
    return evaluate({"val": (part, logits)}, ALERTS, {}, spec, drawn=drawn)[0]


@pytest.fixture
def truth() -> np.ndarray:
    return np.repeat([0, 1, 2], [12, 60, 28])


def test_a_network_that_knows_something_states_its_counts_and_no_doubt(
    option: Any, truth: np.ndarray
) -> None:
    logits = np.random.default_rng(0).normal(size=(100, 3)) + 2 * np.eye(3)[truth]
    found = decided(option, logits, truth)
    alerted = found.alerts(found.probability(logits, ("mel", "nv", "bkl")))
    caught, fired = int(alerted[truth == 0].sum()), int(alerted[truth != 0].sum())
    assert f"caught {caught} of 12 melanoma (" in found.sentence
    assert f"fired on {fired} of 88 others (" in found.sentence
    assert "AUC 0." in found.sentence and "95 % intervals" in found.sentence
    assert found.doubts == []
    again = Decision.from_json(found.to_json())
    assert again == found and again.sentence == found.sentence


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("noise", ["its AUC (0."]),
        ("reversed", ["its AUC (0.06, 0.02 to 0.18) is under chance", "fires on every"]),
        ("constant", ["answers nv for every", "its AUC (0.50", "fires on every"]),
        ("one class, ranking well", ["answers nv for every"]),
    ],
)
def test_one_that_knows_nothing_says_so(
    option: Any, truth: np.ndarray, kind: str, said: list[str]
) -> None:
    noise = np.random.default_rng(1).normal(size=(100, 3))
    right = 2 * np.eye(3)[truth]
    logits = {
        "noise": noise,
        "reversed": noise - right,
        "constant": np.tile([0.0, 2.0, 1.0], (100, 1)),
        "one class, ranking well": noise + right + [0, 20, 0],
    }[kind]
    doubts = decided(option, logits, truth).doubts
    assert len(doubts) == len(said)
    for line, part in zip(doubts, said, strict=True):
        assert part in line


def test_drawings_are_doubted_however_good_the_figures(option: Any, truth: np.ndarray) -> None:
    found = decided(option, 9 * np.eye(3)[truth], truth, drawn=True)
    assert found.doubts == [DRAWN]


def test_the_screen_begins_with_it_in_red_where_it_is_doubted() -> None:
    for doubts, red in ([DRAWN], True), ([], False):
        screen = Console(record=True, force_terminal=True, highlight=False, file=io.StringIO())
        console.print_worth(screen, "It caught [all] of 3.", doubts)
        text = screen.export_text(styles=True)
        assert "It caught [all] of 3." in text and ("\x1b[1;31m" in text) == red
        assert (DRAWN in text.replace("\n", " ")) == red


def test_without_melanoma_in_validation_there_is_no_alert_and_a_line(option: Any) -> None:
    found = decided(option, np.random.default_rng(2).normal(size=(30, 3)), np.arange(30) % 2 + 1)
    assert found.sentence == "There is no alert for melanoma: validation gave no threshold."


def test_decisions_of_earlier_versions_have_counts_without_intervals(
    option: Any, truth: np.ndarray
) -> None:
    logits = np.random.default_rng(0).normal(size=(100, 3)) + 2 * np.eye(3)[truth]
    found = decided(option, logits, truth)
    text = found.to_json().replace('"worth": {', '"ignored": {')
    start = text.index(',\n  "ignored"')
    old = Decision.from_json(text[:start] + "\n}\n")
    assert old.worth is None and old.doubts == []
    assert found.sentence.split(" melanoma")[0] in old.sentence
    assert "before intervals" in old.sentence

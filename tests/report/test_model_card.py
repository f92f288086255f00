"""The model card states what the run recorded, and where it knows nothing."""

import json
import re
from typing import Any

import pytest

from melanoma_exp.evaluation.metrics.decision import Decision

HEADINGS = [
    "Model details",
    "Intended use",
    "Data",
    "Split and leak",
    "Labels and their faults",
    "Training",
    "Performance",
    "Thresholds",
    "Calibration",
    "Subgroups",
    "Limits",
]


@pytest.fixture(scope="module")
def card(finished: Any) -> str:
    text: str = (finished[2] / "model_card.md").read_text()
    return text


def test_every_heading_has_something_below_it(card: str) -> None:
    assert re.findall(r"^## (.+)$", card, re.M) == HEADINGS
    for part in re.split(r"^## .+$", card, flags=re.M)[1:]:
        assert len(part.split()) > 5
    assert not re.search(r"\bnan\b|None|Undefined|\{\{|: *$", card, re.M)
    assert not re.search(r"\|[ ]*\|", card), "an empty cell"
    for table in re.findall(r"(?:^\|.+\|$\n)+", card, re.M):
        assert len({line.count("|") for line in table.splitlines()}) == 1, table
    assert card.count("not a medical device") == 2 and "not known" in card


def test_figures_are_those_of_the_evaluation(finished: Any, card: str) -> None:
    for part in ("val", "test"):
        evaluation = json.loads((finished[2] / f"evaluation_{part}.json").read_text())
        found = evaluation["overall"]["balanced_accuracy"]
        assert f"| balanced accuracy | {found['value']:.3f}" in card
    decision = json.loads((finished[2] / "decision.json").read_text())
    assert f"threshold: {decision['threshold']:.4f}" in card
    assert f"Temperature {decision['temperature']:.4f}" in card


def test_it_begins_with_what_the_alert_is_worth(finished: Any, card: str) -> None:
    decision = Decision.from_json((finished[2] / "decision.json").read_text())
    assert decision.worth is not None
    start = card[: card.index("## Model details")]
    assert decision.sentence in start
    assert start.count("WARNING: ") == len(decision.doubts)
    assert all(line in start for line in decision.doubts)


def test_alerts_are_counted_as_alerts_and_melanomas_as_melanomas(finished: Any, card: str) -> None:
    for part in ("val", "test"):
        found = json.loads((finished[2] / f"evaluation_{part}.json").read_text())["alerts"]
        alert = found["melanoma"]
        tp, fn, fp, tn = (alert["confusion"][key] for key in ("tp", "fn", "fp", "tn"))
        assert f"Melanoma: {tp + fn} of {alert['images']} images." in card
        assert f"fired on {tp + fp} of {tp + fn + fp + tn} images: {tp} of {tp + fn} mel" in card


def test_counts_are_those_of_the_split(finished: Any, card: str) -> None:
    rows = [line.split(",") for line in (finished[2] / "split.csv").read_text().splitlines()[1:]]
    train = [row for row in rows if row[-1] == "train"]
    children = [row for row in train if "#" in row[0]]
    assert f"| training | {len(train) - len(children)} | {len(children)} |" in card
    assert "skin tone" in card and "not assessable" in card

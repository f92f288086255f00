"""Prior correction changes the predicted class and what is counted by it, never a probability."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.samples import Plan
from melanoma_exp.evaluation.evaluate import evaluate
from melanoma_exp.evaluation.metrics import prior, summary
from melanoma_exp.evaluation.metrics.decision import Basis, Decision
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

CLASSES = ("class0", "class1", "class2")
SHARES = {"class0": 0.7, "class1": 0.2, "class2": 0.1}
ALERTS = {"melanoma": ("class2",)}


def biased(n: int, seed: int) -> tuple[Any, Any]:
    """Returns labels by `SHARES` and logits of a network that knows the shares well."""
    random = np.random.default_rng(seed)
    label = random.choice(3, n, p=list(SHARES.values()))
    logits = random.normal(size=(n, 3)) + 1.5 * np.eye(3)[label] + np.log(list(SHARES.values()))
    return label, logits


def evaluated(table: Any, option: Any, correction: Any, n: int = 300) -> Any:
    parts = {}
    for seed, name in enumerate(("val", "test")):
        label, logits = biased(n, seed)
        parts[name] = (table(label.tolist(), classes=3), logits)
    spec = option("evaluation", "default", resamples=100, subgroups={})
    return evaluate(parts, ALERTS, {}, spec, correction, SHARES)


def test_what_is_counted_by_the_class_follows_the_correction(table: Any, option: Any) -> None:
    decision, parts = evaluated(table, option, 0.5)
    for part in parts.values():
        expected = (part.logits - 0.5 * np.log(list(SHARES.values()))).argmax(axis=1)
        plain, label = part.logits.argmax(axis=1), part.samples.label
        assert (part.predicted == expected).all() and (expected != plain).any()
        found = summary.flat(part.metrics)
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(label, expected))
        assert found["accuracy"] == pytest.approx((label == expected).mean())
        assert found["balanced_accuracy_argmax"] == pytest.approx(
            balanced_accuracy_score(label, plain)
        )
        assert found["accuracy_argmax"] == pytest.approx((label == plain).mean())
        assert found["balanced_accuracy"] > found["balanced_accuracy_argmax"]
        assert found["melanoma_sensitivity"] == pytest.approx((expected[label == 2] == 2).mean())
        counted = confusion_matrix(label, expected)
        assert (part.metrics.table.confusion == counted).all()


def test_probabilities_alerts_and_areas_stay(table: Any, option: Any) -> None:
    (plain, before), (corrected, after) = (
        evaluated(table, option, one) for one in ("none", "validation")
    )
    assert dataclasses.replace(corrected, prior_correction=None) == plain
    for name in before:
        one, other = (summary.flat(parts[name].metrics) for parts in (before, after))
        by_class = ("accuracy", "macro_f1", "kappa", "melanoma_sensitivity", "melanoma_specificity")
        same = [k for k in one if not k.startswith((*by_class, "balanced_accuracy"))]
        assert len(same) > 20 and {k: one[k] for k in same} == {k: other[k] for k in same}
        assert not [k for k in one if "argmax" in k]


def test_validation_alone_chooses_tau_and_the_smaller_of_equal_ones() -> None:
    label, logits = biased(2000, 3)
    chosen = prior.choose("validation", SHARES, logits, label, CLASSES)
    scores = [
        balanced_accuracy_score(label, (logits - t * np.log([0.7, 0.2, 0.1])).argmax(axis=1))
        for t in prior.GRID
    ]
    assert chosen is not None and chosen.chosen and chosen.tau == prior.GRID[np.argmax(scores)] > 0
    certain = prior.choose("validation", SHARES, 50 * np.eye(3)[label], label, CLASSES)
    assert certain is not None and certain.tau == 0
    assert prior.choose("none", SHARES, logits, label, CLASSES) is None


def test_a_class_that_training_never_saw_counts_as_the_rarest() -> None:
    found = prior.choose(
        1.0, {"a": 0.9, "b": 0.1, "c": 0.0}, np.zeros((1, 3)), [0], ("a", "b", "c")
    )
    assert found is not None and found.shares == {"a": 0.9, "b": 0.1, "c": 0.1}


def test_shares_are_what_training_sees(table: Any) -> None:
    rows = table([0] * 6 + [1] * 2 + [2] * 2)
    alike = np.ones(3)
    seen = [0.6, 0.2, 0.2]
    assert list(Plan(rows, alike).class_shares.values()) == pytest.approx(seen)
    even = Plan(rows, alike, 1 / np.array(seen)[rows.label])
    assert list(even.class_shares.values()) == pytest.approx([1 / 3] * 3)
    weighted = Plan(rows, np.array([0.5, 1.5, 1.5]))
    assert list(weighted.class_shares.values()) == pytest.approx([1 / 3] * 3)


def test_a_decision_keeps_its_correction_and_older_files_have_none() -> None:
    basis = Basis(10, 5, None, None)
    plain = Decision("melanoma", ("a",), 1.0, None, "none", None, basis, None)
    correction = prior.PriorCorrection(0.5, "fixed", {"a": 0.75, "b": 0.25})
    corrected = dataclasses.replace(plain, prior_correction=correction)
    assert Decision.from_json(corrected.to_json()) == corrected
    content = json.loads(plain.to_json())
    del content["prior_correction"]
    assert Decision.from_json(json.dumps(content)) == plain
    logits = np.log([[0.7, 0.3], [0.6, 0.4]])
    assert corrected.predicted(logits, ("a", "b")).tolist() == [0, 1]
    with pytest.raises(UserError, match="has no share of c; it belongs to a different run"):
        corrected.predicted(logits, ("a", "c"))
    for wrong in ({"tau": -1}, {"shares": {"a": 0}}, {"surprise": 1}):
        damaged = {**content, "prior_correction": {**dataclasses.asdict(correction), **wrong}}
        with pytest.raises(UserError, match="decision.json: is damaged"):
            Decision.from_json(json.dumps(damaged))


@pytest.mark.parametrize("value", ["0.5", "validation"])
def test_a_loss_that_evens_classes_out_is_not_corrected_again(value: str) -> None:
    words = ["train/loss=logit_adjusted", f"inference.prior_correction={value}"]
    with pytest.raises(
        UserError, match=r"^inference.prior_correction: .* set it to none"
    ) as raised:
        config.parse(compose.compose(conf_folder(), words))
    assert len(raised.value.lines) == 1


@pytest.mark.parametrize("value", ["0", "3", "always"])
def test_a_correction_that_makes_no_sense_is_one_line(value: str) -> None:
    with pytest.raises(UserError, match=r"^inference.prior_correction: should be") as raised:
        config.parse(compose.compose(conf_folder(), [f"inference.prior_correction={value}"]))
    assert len(raised.value.lines) == 1

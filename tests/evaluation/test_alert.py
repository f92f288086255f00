"""The threshold comes from validation alone; its metrics elsewhere follow by the formulas."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, precision_recall_curve, roc_curve

from melanoma_exp.evaluation.logits import check_finite
from melanoma_exp.evaluation.metrics import alert, part_metrics, summary, threshold
from melanoma_exp.evaluation.metrics.alert import Alert
from melanoma_exp.evaluation.metrics.decision import Basis, Decision, softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap
from melanoma_exp.spec import UserError

CLASSES = ("melanoma", "naevus", "other")
ALERTS = {"melanoma": ("melanoma",), "malignant": ("melanoma", "other")}


@pytest.fixture(scope="module")
def spec(option: Any) -> Any:
    return option("evaluation", "default", resamples=200)


def draws(n: int, per_group: int = 1) -> Bootstrap:
    return Bootstrap(np.array([f"g{k // per_group:05d}" for k in range(n)]), 200, 1, 0.95)


def part(seed: int, n: int, heat: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.append([0, 1, 2], random.integers(0, 3, n - 3))
    logits = random.normal(size=(n, 3)) + 1.5 * np.eye(3)[truth]
    return heat * logits, truth


def decision(at: float) -> Decision:
    basis = Basis(10, 5, 1.0, 0.5)
    return Decision("melanoma", ("melanoma",), 1.0, at, "by hand", (at, at), basis, None)


@pytest.mark.parametrize(("rule", "target"), [("sensitivity", 0.9), ("specificity", 0.8)])
def test_the_threshold_just_reaches_the_target(spec: Any, rule: str, target: float) -> None:
    logits, truth = part(1, 300)
    asked = spec.threshold.model_copy(update={"rule": rule, "target": target})
    found = threshold.decide(logits, truth, CLASSES, ALERTS, asked, draws(300))
    assert [d.name for d in found] == ["melanoma", "malignant"]
    for d in found:
        positive = np.isin(np.array(CLASSES)[truth], d.positive)
        score = d.probability(logits, CLASSES)
        alerted = d.alerts(score)
        sensitivity, specificity = alerted[positive].mean(), (~alerted[~positive]).mean()
        assert d.validation == Basis(300, int(positive.sum()), sensitivity, specificity)
        scores = np.sort(score[positive])
        if rule == "sensitivity":  # the next higher threshold would miss the target
            beyond = scores[scores > d.threshold][1]
            assert sensitivity >= target > (score[positive] >= beyond).mean()
        else:  # the next lower one that finds more would
            beyond = scores[scores < d.threshold][-1]
            assert specificity >= target > (score[~positive] < beyond).mean()
        assert np.abs(score - d.threshold).min() > 1e-9
        assert d.unsure[0] < d.threshold < d.unsure[1]
        assert f"{rule} >= {target}" in d.rule


def test_rounding_a_probability_in_its_last_digits_changes_no_alert(spec: Any) -> None:
    logits, truth = part(2, 200)
    found = threshold.decide(logits, truth, CLASSES, ALERTS, spec.threshold, draws(200))[0]
    score = found.probability(logits, CLASSES)
    rounded = found.probability(logits.astype(np.float32), CLASSES)
    np.testing.assert_array_equal(found.alerts(score), found.alerts(rounded.astype(np.float32)))


@pytest.mark.parametrize("truth", [[1, 1, 2], [0, 0, 0], [0]])
def test_validation_without_both_sides_gives_no_threshold(spec: Any, truth: list[int]) -> None:
    n = len(truth)
    found = threshold.decide(
        part(1, 3)[0][:n], np.array(truth), CLASSES, ALERTS, spec.threshold, draws(n)
    )[0]
    assert found.threshold is found.unsure is None
    assert Decision.from_json(found.to_json()) == found


def test_equal_scores_still_give_a_threshold(spec: Any) -> None:
    flat, truth = np.zeros((6, 3)), np.array([0, 1, 2] * 2)
    for rule, sensitivity in (("sensitivity", 1.0), ("specificity", 0.0)):
        asked = spec.threshold.model_copy(update={"rule": rule})
        found = threshold.decide(flat, truth, CLASSES, ALERTS, asked, draws(6))[0]
        assert found.validation.sensitivity == sensitivity
        assert found.validation.specificity == 1 - sensitivity
        assert Decision.from_json(found.to_json()) == found


def test_a_dataset_without_the_class_has_no_threshold(spec: Any) -> None:
    logits, truth = part(1, 30)
    found = threshold.decide(
        logits, truth, CLASSES, {"melanoma": ("mel",)}, spec.threshold, draws(30)
    )
    assert found[0].positive == () and found[0].threshold is None
    worth = part_metrics.compute(logits, truth, CLASSES, [{}] * 30, found, spec, draws(30))
    assert worth.alerts == {} and np.isfinite(worth.overall["accuracy"].value)
    json.loads(summary.to_json(worth, "val", spec))


def by_hand(spec: Any) -> Alert:
    """3 of 4 positives and 2 of 6 others alerted."""
    positive = np.array([1, 1, 1, 1, 0, 0, 0, 0, 0, 0], bool)
    chance = np.array([0.9, 0.8, 0.55, 0.2, 0.7, 0.5, 0.4, 0.3, 0.1, 0.0])
    return alert.evaluate(positive, chance, chance, decision(0.5), spec, draws(10))


def test_metrics_at_the_threshold_by_hand(spec: Any) -> None:
    found = by_hand(spec)
    assert found.confusion == (3, 1, 2, 4)
    values = {name: float(e.value) for name, e in found.metrics.items()}
    assert values["sensitivity"] == 3 / 4 and values["specificity"] == 4 / 6
    assert values["ppv"] == 3 / 5 and values["npv"] == 4 / 5 and values["alerted"] == 0.5
    assert values["unsure"] == 0.1
    # At a prevalence of 0.05: true 0.0375 and false 0.3167 of all are alerted.
    assert values["ppv_at_prevalence"] == pytest.approx(0.0375 / (0.0375 + 0.95 / 3))
    assert values["npv_at_prevalence"] == pytest.approx(0.95 * 2 / 3 / (0.95 * 2 / 3 + 0.0125))
    assert values["number_needed_to_biopsy"] == pytest.approx((0.0375 + 0.95 / 3) / 0.0375)


def test_the_sentence_counts_alerts_and_not_positives(spec: Any) -> None:
    assert by_hand(spec).sentence() == (
        "The alert, at threshold 0.5000, fired on 5 of 10 images: 3 of 4 melanoma, 2 of 6 others."
    )


def test_net_benefit_by_hand(spec: Any) -> None:
    found = by_hand(spec)
    at = dict(zip(found.chances.round(2), found.benefit.value, strict=True))
    everyone = dict(zip(found.chances.round(2), found.benefit_of_all, strict=True))
    assert at[0.5] == pytest.approx((3 - 2 * 1) / 10)
    assert at[0.2] == pytest.approx((4 - 4 * 0.25) / 10)
    assert at[0.75] == pytest.approx(2 / 10)
    assert everyone[0.2] == pytest.approx(0.4 - 0.6 * 0.25)
    assert everyone[0.4] == pytest.approx(0)


def test_curves_are_scikit_learns_without_points_on_straight_lines() -> None:
    random = np.random.default_rng(0)
    positive, score = random.random(80) < 0.3, random.integers(0, 25, 80) / 25
    roc, precision_recall = alert.curves(positive, score)
    rate, sensitivity, limit = roc_curve(positive, score, drop_intermediate=False)
    points = set(zip(rate.round(9), sensitivity.round(9), limit, strict=True))
    found = set(zip(*roc[:2].round(9), roc[2], strict=True))
    assert found <= points
    assert np.trapezoid(roc[1], roc[0]) == pytest.approx(np.trapezoid(sensitivity, rate))
    precision, recall, limit = precision_recall_curve(positive, score)
    points = set(zip(recall.round(9), precision.round(9), [*limit, -1], strict=True))
    assert set(zip(*precision_recall[:2].round(9), precision_recall[2], strict=True)) <= points


def test_an_alert_without_a_true_positive_has_no_number_needed_to_biopsy(spec: Any) -> None:
    positive, chance = np.array([1, 1, 0, 0], bool), np.array([0.1, 0.2, 0.1, 0.9])
    found = alert.evaluate(positive, chance, chance, decision(0.5), spec, draws(4))
    assert np.isnan(found.metrics["number_needed_to_biopsy"].value)
    assert found.metrics["ppv_at_prevalence"].value == 0


def test_temperature_is_applied_to_alerts_and_not_to_classification(spec: Any) -> None:
    logits, truth = part(5, 240, heat=3.0)
    decisions = threshold.decide(logits, truth, CLASSES, ALERTS, spec.threshold, draws(240))
    found = part_metrics.compute(logits, truth, CLASSES, [{}] * 240, decisions, spec, draws(240))
    assert found.temperature > 1.5 and found.log_losses[1] < found.log_losses[0]
    before, after = found.calibration["classes"]
    assert after.ece_mass < before.ece_mass and after.ece_width < before.ece_width
    brier = brier_score_loss(truth, softmax(logits), scale_by_half=False)
    assert found.overall["brier"].value == pytest.approx(brier)
    figures = found.alerts["melanoma"].metrics
    assert figures["sensitivity"].value == decisions[0].validation.sensitivity
    flat = summary.flat(found)
    assert flat["melanoma_alert_sensitivity"] == figures["sensitivity"].value
    called = logits.argmax(axis=1) == 0
    assert flat["melanoma_sensitivity"] == called[truth == 0].mean()
    assert flat["melanoma_specificity"] == (~called[truth != 0]).mean()
    assert flat["melanoma_auc_low"] < flat["melanoma_auc"] < flat["melanoma_auc_high"]


def test_test_images_never_change_the_threshold(spec: Any) -> None:
    val, label = part(5, 240)
    decisions = threshold.decide(val, label, CLASSES, ALERTS, spec.threshold, draws(240))
    logits, truth = part(6, 90)
    found = part_metrics.compute(logits, truth, CLASSES, [{}] * 90, decisions, spec, draws(90))
    assert found.alerts["melanoma"].decision is decisions[0]
    alerted = decisions[0].alerts(decisions[0].probability(logits, CLASSES))
    assert found.alerts["melanoma"].metrics["sensitivity"].value == alerted[truth == 0].mean()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_logits_that_are_not_finite_are_refused_in_one_line(bad: float) -> None:
    logits = part(1, 5)[0]
    logits[[1, 3], 2] = bad
    with pytest.raises(UserError, match="not a number for 2 of 5 images: training diverged"):
        check_finite(logits)


def test_the_json_has_all_keys_whatever_is_undefined(spec: Any) -> None:
    def keys(content: Any) -> Any:
        return {k: keys(v) for k, v in content.items()} if isinstance(content, dict) else None

    texts = []
    for n in (240, 1):
        logits, truth = part(5, 240)
        decisions = threshold.decide(logits, truth, CLASSES, ALERTS, spec.threshold, draws(240))
        found = part_metrics.compute(
            logits[:n], truth[:n], CLASSES, [{"age": "50"}] * n, decisions, spec, draws(n)
        )
        texts.append(json.loads(summary.to_json(found, "test", spec, more={"a": 1})))
    assert keys(texts[0]) == keys(texts[1]) and texts[0]["more"] == {"a": 1}
    assert texts[1]["overall"]["macro_auc"] == {"value": None, "low": None, "high": None}
    without = dataclasses.replace(decisions[0], threshold=None, unsure=None)
    found = part_metrics.compute(logits, truth, CLASSES, [{}] * 240, [without], spec, draws(240))
    assert (
        json.loads(summary.to_json(found, "test", spec))["alerts"]["melanoma"]["threshold"] is None
    )

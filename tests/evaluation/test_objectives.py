"""Any scalar of the evaluation can be monitored, ranked by and searched for."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation import objectives
from melanoma_exp.evaluation.evaluate import evaluate
from melanoma_exp.evaluation.metrics import names, summary
from melanoma_exp.evaluation.objectives import Objective, Scorer
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

CLASSES = ("melanoma", "nevus", "keratosis")
ALERTS = {"melanoma": ("melanoma",), "malignant": ("melanoma", "carcinoma")}


@pytest.fixture(scope="module")
def spec(option: Any) -> Any:
    return option("evaluation", "default", resamples=100)


def part(classes: tuple[str, ...] = CLASSES, n: int = 60) -> tuple[Samples, np.ndarray]:
    """Rows with logits that know something of them."""
    random = np.random.default_rng(3)
    label = np.arange(n) % len(classes)
    ids = np.array([f"image{k}" for k in range(n)])
    zeros = np.zeros(n, np.int64)
    rows = Samples(classes, np.arange(n), ids, zeros, label, ids, np.full(n, "train"))
    return rows, random.normal(size=(n, len(classes))) + 1.5 * np.eye(len(classes))[label]


def flat(rows: Samples, logits: np.ndarray, spec: Any) -> Mapping[str, float]:
    _, evaluations = evaluate({"val": (rows, logits)}, ALERTS, {}, spec)
    return summary.flat(evaluations["val"].metrics)


def test_the_names_are_those_of_a_finished_run(spec: Any) -> None:
    reported = {name for name in flat(*part(), spec) if not name.endswith(("_low", "_high"))}
    known = names.directions(spec, ALERTS)
    # More alerts are neither better nor worse, and the unsure band rests on the resamples.
    aside = {f"{alert}_{name}" for alert in ALERTS for name in ("alerted", "unsure")}
    assert aside < reported and reported - aside == set(known)
    assert {f"val/{name}" for name in known} | {"val/loss"} == set(
        objectives.directions(spec, ALERTS)
    )


def test_directions_say_what_a_perfect_model_does_better(spec: Any) -> None:
    rows, logits = part()
    poor, good = flat(rows, logits, spec), flat(rows, 20 * np.eye(3)[rows.label], spec)
    for name, higher_is_better in names.directions(spec, ALERTS).items():
        assert good[name] >= poor[name] if higher_is_better else good[name] <= poor[name], name


def test_monitored_scalars_equal_those_of_a_finished_run(spec: Any) -> None:
    rows, logits = part()
    known = objectives.directions(spec, ALERTS)
    scores = Scorer(tuple(known), rows, ALERTS, spec)(logits.astype(np.float32))
    final = flat(rows, logits.astype(np.float32).astype(np.float64), spec)
    assert set(scores) == set(known) - {"val/loss", "val/accuracy"}
    assert {name: final[name.removeprefix("val/")] for name in scores} == scores


def test_logits_that_are_not_finite_have_no_score(spec: Any) -> None:
    rows, logits = part()
    logits[3, 1] = np.inf
    assert np.isnan(Scorer(["val/macro_auc"], rows, ALERTS, spec)(logits)["val/macro_auc"])


def test_an_alert_without_a_class_cannot_be_monitored(spec: Any) -> None:
    rows, _ = part(("nevus", "keratosis"))
    with pytest.raises(UserError, match="^val/melanoma_auc: cannot be monitored .* keratosis"):
        Scorer(["val/macro_auc", "val/melanoma_auc"], rows, ALERTS, spec)
    objective = spec.model_copy(update={"objective": "val/melanoma_auc"})
    with pytest.raises(UserError, match="^val/melanoma_auc: cannot .* be the objective"):
        Scorer(["val/loss"], rows, ALERTS, objective)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "train.early_stopping.monitor=val/macro_acu",
            "^train.early_stopping.monitor: val/macro_acu is not a scalar of the evaluation; did "
            "you mean val/macro_auc.*known: val/loss, val/accuracy, ",
        ),
        ("train.plateau.monitor=auc", "^train.plateau.monitor: auc is not a scalar"),
        (
            "evaluation.objective=val/melanoma_sensitivity_at_95_specificty",
            "^evaluation.objective: .* did you mean val/melanoma_sensitivity_at_95_specificity",
        ),
        ("evaluation.objective=test/accuracy", "^evaluation.objective: test/accuracy is not"),
        ("evaluation.objective=val/loss", "^evaluation.objective: .* use val/log_loss$"),
    ],
)
def test_a_name_that_does_not_exist_is_one_line(override: str, line: str) -> None:
    with pytest.raises(UserError, match=line) as refused:
        config.parse(compose.compose(conf_folder(), [override]))
    assert len(refused.value.lines) == 1


def test_names_follow_the_config() -> None:
    words = ["evaluation.specificities=[0.8]", "train.early_stopping.monitor="]
    name = "val/malignant_sensitivity_at_80_specificity"
    experiment = config.parse(compose.compose(conf_folder(), [words[0], words[1] + name]))
    assert experiment.train.early_stopping.monitor == name
    with pytest.raises(UserError, match=name):
        config.parse(compose.compose(conf_folder(), [words[1] + name]))


def test_what_a_monitor_depends_on_identifies_the_run() -> None:
    def digest(*words: str) -> str:
        return config.parse(compose.compose(conf_folder(), words)).digest

    other, monitor = "evaluation.bins=15", "train.early_stopping.monitor=val/ece"
    assert digest() == digest(other)
    assert len({digest(), digest(monitor), digest(monitor, other)}) == 3


def test_an_objective_scores_a_run() -> None:
    objective = Objective("val/macro_auc", {"val/macro_auc": True})
    assert objective.label == "macro auc" and objective.higher_is_better
    scores = {"val": {"macro_auc": 0.75}, "test": {"macro_auc": 0.5}}
    assert objective.score(scores) == 0.75
    assert objective.score({"val": {"macro_auc": float("nan")}}) is None
    assert objective.score({"val": {}}) is None

"""Early stopping, plateau and best epoch follow any monitored metric, also in a resumed run."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from test_checkpoint import StopAt, same
from test_training import feeds, train_spec

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.evaluation.objectives import Scorer
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.off import Off
from melanoma_exp.training import fit, process
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.monitors import Best
from melanoma_exp.training.optim import compile_model
from melanoma_exp.training.signals import Interrupted, Signals
from melanoma_exp.training.spec import Train
from melanoma_exp.training.state import TrainingState

AUC = "val/macro_auc"
NET = ["model=m2", "model.filters=[[4],[8]]", "model.dense=[8]", "model.norm=after_pool"]


def scorer(option: Any, *names: str, batch_size: int = 8) -> Scorer:
    val = feeds(batch_size)[1].samples
    return Scorer(names, val, {"melanoma": ("a",)}, option("evaluation", "default"))


class Scripted:
    """Scores that an epoch is given, whatever its logits."""

    names = (AUC, "val/brier")
    directions: Mapping[str, bool] = {
        "val/loss": False,
        "val/accuracy": True,
        AUC: True,
        "val/brier": False,
    }

    def __init__(self, *scores: float) -> None:
        self._scores = list(scores)

    def __call__(self, logits: np.ndarray) -> dict[str, float]:
        assert logits.shape == (10, 3)
        value = self._scores.pop(0)
        return {AUC: value, "val/brier": value}


def train(
    spec: Train, place: Path, score: Any, stop: tuple[int, int] | None = None, **more: Any
) -> tuple[list[np.ndarray], fit.History]:
    process.prepare_process(spec, 1)
    images, val = feeds(spec.batch_size)
    model = config.parse(compose.compose(conf_folder(), NET)).model.build((16, 16, 3), 3)
    compile_model(model, spec, images.steps, ClassFrequencies.equal(3))
    signals = Signals()
    progress = StopAt(signals, *stop) if stop else None
    store = CheckpointStore(place)
    history = fit.fit(
        model, spec, images, val, signals, progress=progress, store=store, scorer=score, **more
    )
    return [keras.ops.convert_to_numpy(v) for v in model.variables], history


def test_training_ends_by_the_monitored_metric_and_keeps_its_best_epoch(tmp_path: Path) -> None:
    def ended(monitor: str, *scores: float) -> int:
        spec = train_spec(
            "epochs=6",
            "batch_size=8",
            f"early_stopping.monitor={monitor}",
            "early_stopping.patience=2",
            "keep=best",
        )
        history = train(spec, tmp_path / monitor, Scripted(*scores))[1]
        assert history[monitor] == list(scores[: len(history[monitor])])
        return len(history[monitor])

    assert ended(AUC, 0.5, 0.7, 0.6, 0.7, 0.9, 0.9) == 4
    assert ended("val/brier", 0.5, 0.7, 0.6, 0.7, 0.9, 0.9) == 3  # the lower the better
    assert ended(AUC, float("nan"), 0.5, 0.6, 0.7, 0.8, 0.9) == 6


def test_the_best_epoch_by_the_monitored_metric_is_the_one_that_is_kept(tmp_path: Path) -> None:
    options = ["batch_size=8", f"early_stopping.monitor={AUC}"]
    two = train(train_spec("epochs=2", *options), tmp_path / "two", Scripted(0.1, 0.2))
    best = train(
        train_spec("epochs=4", "keep=best", *options),
        tmp_path / "best",
        Scripted(0.5, 0.9, 0.8, 0.9),
    )
    assert len(best[1][AUC]) == 4
    weights = [a for a in two[0] if a.ndim >= 2]
    kept = [a for a in best[0] if a.ndim >= 2]
    assert all(np.array_equal(a, b) for a, b in zip(weights, kept, strict=True))


def test_plateau_lowers_the_rate_by_the_monitored_metric(tmp_path: Path) -> None:
    spec = train_spec(
        "epochs=4",
        "batch_size=8",
        "schedule=plateau",
        f"plateau.monitor={AUC}",
        "plateau.patience=1",
        "plateau.factor=0.5",
    )
    rates = train(spec, tmp_path, Scripted(0.5, 0.6, 0.6, 0.7))[1]["learning_rate"]
    assert rates == pytest.approx([0.001, 0.001, 0.001, 0.0005])


def test_monitoring_another_metric_changes_nothing_else(option: Any, tmp_path: Path) -> None:
    """Weights, loss and accuracy are the same to the last bit; the metric is logged."""
    options = ["epochs=2", "batch_size=8"]
    plain = train(train_spec(*options), tmp_path / "plain", None)
    spec = train_spec(*options, f"early_stopping.monitor={AUC}")
    logged: dict[int, Mapping[str, float]] = {}
    scored = train(
        spec,
        tmp_path / "scored",
        scorer(option, AUC),
        log=lambda metrics, epoch: logged.update({epoch: metrics}),
    )
    history = dict(scored[1])
    auc = history.pop(AUC)
    assert same(plain, (scored[0], history))
    assert [logged[epoch][AUC] for epoch in (1, 2)] == auc and all(0 <= a <= 1 for a in auc)


@pytest.mark.parametrize("stop", [(2, 4), pytest.param((3, 3), marks=pytest.mark.slow)])
def test_a_resumed_run_decides_by_it_as_one_that_was_not_interrupted(
    stop: tuple[int, int], option: Any, tmp_path: Path
) -> None:
    spec = train_spec(
        "epochs=8",
        "batch_size=8",
        "ema=0.9",
        "keep=best",
        "schedule=plateau",
        f"plateau.monitor={AUC}",
        "plateau.patience=1",
        f"early_stopping.monitor={AUC}",
        "early_stopping.patience=3",
        "learning_rate=0.05",
    )
    whole = train(spec, tmp_path / "whole", scorer(option, AUC))
    with pytest.raises(Interrupted):
        train(spec, tmp_path / "broken", scorer(option, AUC), stop)
    saved = CheckpointStore(tmp_path / "broken").newest()
    assert saved is not None
    assert same(whole, train(spec, tmp_path / "broken", scorer(option, AUC), saved=saved))
    assert len(whole[1][AUC]) < 8  # it was stopped early


def test_a_diverged_training_is_kept_exactly_in_strict_json() -> None:
    odd = [1.5, math.nan, math.inf, -math.inf]
    state = TrainingState(
        3, 0, rate=math.inf, trained={"loss": math.nan}, history={"val/loss": odd}
    )
    state.plateau, state.stopping = Best(math.inf, 1, 2), Best()
    text = json.dumps(state.to_json(), allow_nan=False)
    # NaN is not itself, but looks like it.
    assert repr(TrainingState.from_checkpoint(json.loads(text), {})) == repr(state)


def test_without_mlflow_a_metric_that_is_not_finite_is_null(tmp_path: Path) -> None:
    run = Off(kind="off").start("run", tmp_path)
    run.log_metrics({"train/loss": math.nan, "val/loss": math.inf, "seconds": 1.5}, 1)
    text = (tmp_path / "metrics.jsonl").read_text()
    assert text == '{"step": 1, "train/loss": null, "val/loss": null, "seconds": 1.5}\n'

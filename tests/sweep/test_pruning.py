"""Successive halving: who goes on from a rung, and that a killed job hears the same answer."""

import math
from collections.abc import Collection
from pathlib import Path

import numpy as np
import pytest

from melanoma_exp.cli import compose
from melanoma_exp.sweep.search.config import Optuna, Search
from melanoma_exp.sweep.search.pruning import SuccessiveHalving
from melanoma_exp.system.installation import conf_folder

pytest.importorskip("optuna", reason="needs the extra `sweep`")
from test_search import checked, pruner, search  # noqa: E402

from melanoma_exp.sweep.search.study import Study  # noqa: E402

HALVING = SuccessiveHalving(
    kind="successive_halving", monitor="val/accuracy", min_epochs=2, reduction_factor=3
)
EPOCHS, RUNGS = 8, (2, 6)


def run(study: Study, curve: list[float], killed_at: Collection[int] = ()) -> int:
    """Trains a job whose metric is a curve; returns how many epochs it had.

    Args:
        study: Of the search.
        curve: A value for each epoch.
        killed_at: It is killed when these epochs are reported and not judged, and resumed from its
            checkpoint.
    """
    number, _ = study.ask()
    prune = pruner(study, number, HALVING)
    for epoch in range(1, EPOCHS + 1):
        history = {"val/accuracy": curve[:epoch]}
        if epoch in killed_at:
            study.trial(number).report(study.sign(True) * curve[epoch - 1], epoch)
            prune = pruner(study, number, HALVING)  # of another process
        if prune(history) and epoch < EPOCHS:
            study.prune(number)
            return epoch
    study.tell(number, curve[-1])
    return EPOCHS


def test_the_best_third_of_those_that_got_to_a_rung_go_on_and_a_kill_changes_nothing(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(12)
    curves = [list(random.permutation(EPOCHS) + 10 * random.random()) for _ in range(15)]
    curves[4][1] = math.nan
    asked = search(pruner=HALVING, sampler="random", n_trials=15, storage="sqlite:///:memory:")
    expected, got = [], dict[int, list[float]]({rung: [] for rung in RUNGS})
    for curve in curves:
        epochs = EPOCHS
        for rung in RUNGS:
            own = curve[rung - 1]
            got[rung].append(-math.inf if math.isnan(own) else own)
            places = max(1, len(got[rung]) // 3)
            if math.isnan(own) or own not in sorted(got[rung], reverse=True)[:places]:
                epochs = rung
                break
        expected.append(epochs)
    assert {2, 6, 8} == set(expected) and expected[4] == 2
    # Its direction is the objective's and says nothing about the monitor, which grows.
    for direction, killed_at in (("maximize", ()), ("minimize", (2, 3, 6))):
        study = Study(asked.model_copy(update={"direction": direction}), tmp_path, "s")
        assert [run(study, curve, killed_at) for curve in curves] == expected


def test_the_reason_names_epoch_value_and_rivals(tmp_path: Path) -> None:
    study = Study(search(pruner=HALVING), tmp_path, "s")
    for value in (0.5, 0.6):
        assert pruner(study, study.ask()[0], HALVING)({"val/accuracy": [0.1, value]}) == ""
    said = pruner(study, study.ask()[0], HALVING)({"val/accuracy": [0.9, 0.55]})
    assert said == "its val/accuracy at epoch 2, 0.55, is not the best of the 3 jobs that got there"


def test_a_first_rung_that_no_job_reaches_is_refused() -> None:
    from melanoma_exp.spec import UserError
    from melanoma_exp.sweep.search import queue

    def check(*words: str) -> Search:
        asked = search(pruner=HALVING).model_copy(
            update={"words": words, "space": {"model": {"kind": "choice", "values": ["m1", "m2"]}}}
        )
        return queue.check(asked, lambda words: compose.compose(conf_folder(), words))

    assert check("train.epochs=3").objective
    with pytest.raises(UserError, match="pruner.min_epochs: 2 is not below train.epochs, 2"):
        check("train.epochs=2")


def test_the_search_over_recipes_prunes_by_successive_halving() -> None:
    from hydra import compose as hydra_compose
    from hydra import initialize_config_dir
    from omegaconf import OmegaConf

    recipe, plain = (
        ["experiment=search/recipe"],
        ["hydra/sweeper=basic", "hydra.sweeper.params=null"],
    )
    with initialize_config_dir(str(conf_folder()), version_base="1.3"):
        whole = hydra_compose("config", recipe, return_hydra_config=True).hydra.sweeper
        # The command that tests its best job runs it as a plain sweep.
        assert hydra_compose("config", [*recipe, *plain]).model.kind == "resnet"
    options = OmegaConf.to_container(whole)
    options.pop("_target_")
    rule = Optuna.model_validate(options).pruner
    assert isinstance(rule, SuccessiveHalving) and rule.monitor == "val/balanced_accuracy"
    assert checked("experiment=search/recipe", "model.dropout=0.1,0.2").words

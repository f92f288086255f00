"""A search of twenty jobs with drawn scores, one far off, some pruned."""

import math
from pathlib import Path

import numpy as np
import pytest

from melanoma_exp.evaluation.objectives import Objective

NAME = "2026-01-01/10-00-00"
SPACE = {
    "train.learning_rate": {"kind": "real", "low": 1e-5, "high": 0.1, "step": None, "log": True},
    "model": {"kind": "choice", "values": ["m1", "m2", "m3"]},
    "model.dropout": {"kind": "real", "low": 0.0, "high": 0.5, "step": None, "log": False},
}


def write(place: Path, jobs: int = 20) -> None:
    """Writes the study into a folder and its page beside it."""
    pytest.importorskip("optuna", reason="needs the extra `sweep`")
    from melanoma_exp.sweep.search import config, search_html
    from melanoma_exp.sweep.search.study import Study

    rule = {"kind": "median", "monitor": "val/loss", "n_startup_trials": 2, "n_warmup_epochs": 1}
    options = config.Optuna.model_validate(
        {
            "kind": "optuna",
            "n_trials": jobs,
            "sampler": "random",
            "n_startup_trials": 1,
            "seed": 1,
            "pruner": rule,
            "storage": None,
            "study_name": None,
            "params": {},
        }
    )
    search = config.Search(options=options, words=(), space=SPACE)
    search.save(place)
    study = Study(search, place, NAME)
    random = np.random.default_rng(1)
    for k in range(jobs):
        number, values = study.ask()
        off = abs(math.log10(float(values["train.learning_rate"])) + 3)
        score = 0.7 - 0.05 * off**1.5 + random.normal(0, 0.01)
        trial = study.trial(number)
        for epoch in range(1, 6):
            trial.report(score - 2 + 0.1 * epoch, epoch)
        if k > 3 and score < 0.6:
            study.prune(number)
        else:
            study.tell(number, 0.05 if k == 2 else score)
    search_html.write_html(
        place,
        NAME,
        place,
        Objective("val/balanced_accuracy", {"val/balanced_accuracy": True, "val/loss": False}),
    )

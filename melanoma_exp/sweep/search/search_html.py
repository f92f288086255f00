"""The results of a search: one self-contained HTML page."""

import warnings
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.report import console, figures
from melanoma_exp.sweep.search import config
from melanoma_exp.sweep.search.study import Study
from melanoma_exp.system import html
from melanoma_exp.system.files import write

FILE = "search.html"
FEWEST = 2  # finished jobs from which there is something to see
FEWEST_FOR_IMPORTANCE = 10  # below, PED-ANOVA splits too few jobs to say anything
LISTED = 200  # jobs in the table, the best ones
STATES = {
    TrialState.COMPLETE: "finished",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def write_html(folder: Path, sweep: str, results: Path, objective: Objective) -> None:
    """Writes `search.html`, once two jobs have finished.

    Args:
        folder: Of the sweep, a search.
        sweep: Its name.
        results: The folder for the file.
        objective: What was optimised.

    Raises:
        UserError: The study cannot be opened.
    """
    search = config.read(folder)
    study = Study(search, folder, sweep)
    rule = search.options.pruner
    sign = study.sign(objective.directions[rule.monitor]) if rule else 1.0
    trials = [_trial(trial, sign) for trial in study.trials]
    finished = [trial for trial in trials if trial.score is not None]
    if len(finished) < FEWEST:
        return
    higher = search.direction == "maximize"
    ranked = sorted(finished, key=lambda trial: trial.score or 0.0, reverse=higher)
    others = [trial for trial in trials if trial.score is None]
    score = f"{objective.label} on validation"
    charts = figures.search_charts(
        trials,
        {key: bool(content.get("log")) for key, content in search.space.items()},
        _importances(study) if len(finished) >= FEWEST_FOR_IMPORTANCE else {},
        score,
        higher,
        rule.monitor if rule else "",
    )
    states = Counter(trial.state for trial in trials)
    environment = html.templates(Path(__file__).parent)
    environment.filters["short"] = lambda v: f"{v:.4g}" if isinstance(v, float) else v
    template = environment.get_template("search.html.j2")
    write(
        results / FILE,
        template.render(
            sweep=sweep,
            counts=", ".join(f"{states[state]} {state}" for state in dict.fromkeys(states)),
            score=score,
            space={key: _describe(content) for key, content in search.space.items()},
            best=ranked[0],
            listed=[*ranked, *others][:LISTED],
            jobs=len(trials),
            charts=charts,
            fewest=FEWEST_FOR_IMPORTANCE if len(finished) < FEWEST_FOR_IMPORTANCE else None,
            disclaimer=console.DISCLAIMER,
        ),
    )


def _trial(trial: FrozenTrial, sign: float) -> figures.Trial:
    score = trial.value if trial.state == TrialState.COMPLETE else None
    epochs = [(epoch, sign * value) for epoch, value in sorted(trial.intermediate_values.items())]
    return figures.Trial(trial.number, STATES[trial.state], score, trial.params, epochs)


def _importances(study: Study) -> Mapping[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that had one value alone
        return get_param_importances(study.optuna, evaluator=PedAnovaImportanceEvaluator())


def _describe(content: Mapping[str, Any]) -> str:
    if content["kind"] == "choice":
        return ", ".join(content["values"])
    step = f", steps of {content['step']:g}" if content["step"] else ""
    scale = ", logarithmic" if content["log"] else step
    return f"{content['low']:g} to {content['high']:g}{scale}"

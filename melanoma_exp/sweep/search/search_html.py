"""The results of a search: a self-contained HTML file of plots, drawn by Optuna."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optuna import visualization
from optuna.trial import TrialState

from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.sweep.search import config
from melanoma_exp.sweep.search.study import Study
from melanoma_exp.system import html
from melanoma_exp.system.files import write

FILE = "search.html"
PLOTS: dict[str, tuple[Callable[..., Any], str]] = {
    "Jobs": (
        visualization.plot_optimization_history,
        "Finished jobs, and the best until then.",
    ),
    "Which setting matters": (
        visualization.plot_param_importances,
        "The share of the scores' variance that each setting explains (PED-ANOVA); with few jobs a "
        "guess.",
    ),
    "One setting at a time": (visualization.plot_slice, "The darker, the later in the search."),
    "Settings together": (
        visualization.plot_parallel_coordinate,
        "A line a job; drag along an axis to pick some.",
    ),
}
FEWEST = 2  # finished jobs from which there is something to see


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
    states = Counter(trial.state for trial in study.trials)
    if states[TrialState.COMPLETE] < FEWEST:
        return
    score = f"{objective.label} on validation"
    plots = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that had one value alone
        for title, (plot, caption) in PLOTS.items():
            plots.append((title, caption, plot(study.optuna, target_name=score)))
        if rule := search.options.pruner:
            figure = visualization.plot_intermediate_values(study.optuna)
            minus = "minus " if study.sign(objective.directions[rule.monitor]) < 0 else ""
            figure.update_layout(xaxis_title="epoch", yaxis_title=f"{minus}{rule.monitor}")
            plots.append(("Epochs", "Lines that end early were pruned.", figure))
    template = html.templates(Path(__file__).parent).get_template("search.html.j2")
    write(
        results / FILE,
        template.render(
            sweep=sweep,
            counts=f"{states[TrialState.COMPLETE]} finished, {states[TrialState.PRUNED]} pruned",
            score=score,
            space={key: _describe(content) for key, content in search.space.items()},
            plots=[
                # No network is needed: the first plot brings the library.
                (title, caption, _html(figure, with_library=not k))
                for k, (title, caption, figure) in enumerate(plots)
            ],
        ),
    )


def _html(figure: Any, with_library: bool) -> str:
    figure.update_layout(title=None, width=None, autosize=True, margin={"t": 30})
    return str(figure.to_html(full_html=False, include_plotlyjs=with_library, default_height=420))


def _describe(content: Mapping[str, Any]) -> str:
    if content["kind"] == "choice":
        return ", ".join(content["values"])
    step = f", steps of {content['step']:g}" if content["step"] else ""
    scale = ", logarithmic" if content["log"] else step
    return f"{content['low']:g} to {content['high']:g}{scale}"

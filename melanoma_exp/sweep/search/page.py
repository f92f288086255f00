"""What a search has shown: a self-contained page of plots, drawn by Optuna."""

import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna import visualization as drawn
from optuna.trial import TrialState

from melanoma_exp.sweep.search import spec
from melanoma_exp.sweep.search.spec import Choice, Dimension
from melanoma_exp.sweep.search.study import Study
from melanoma_exp.system import html
from melanoma_exp.system.files import write

PAGE = "search.html"
SCORE = "balanced accuracy on validation"
SCORED: dict[str, tuple[Callable[..., Any], str]] = {
    "Jobs": (drawn.plot_optimization_history, "Each finished job, and the best until then."),
    "Which setting matters": (
        drawn.plot_param_importances,
        "The share of the scores' variation that each setting explains (PED-ANOVA); with few jobs "
        "a guess.",
    ),
    "One setting at a time": (drawn.plot_slice, "The darker, the later in the search."),
    "Settings together": (
        drawn.plot_parallel_coordinate,
        "A line a job; drag along an axis to pick some.",
    ),
}
FEWEST = 2  # finished jobs from which there is something to see


def write_page(folder: Path, sweep: str, place: Path) -> None:
    """Writes `search.html`, once two jobs have finished.

    Args:
        folder: Of the sweep, a search.
        sweep: Its name.
        place: The folder for the page.

    Raises:
        UserError: The study cannot be opened.
    """
    search = spec.read(folder)
    study = Study(search, folder, sweep)
    states = Counter(trial.state for trial in study.trials)
    if states[TrialState.COMPLETE] < FEWEST:
        return
    plots = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parameters that had one value alone
        for title, (plot, told) in SCORED.items():
            plots.append((title, told, plot(study.optuna, target_name=SCORE)))
        if rule := search.options.pruner:
            figure = drawn.plot_intermediate_values(study.optuna)
            minus = "minus " if rule.monitor == "val_loss" else ""
            figure.update_layout(xaxis_title="epoch", yaxis_title=f"{minus}{rule.monitor}")
            plots.append(("Epochs", "Lines that end early were given up.", figure))
    counts = f"{states[TrialState.COMPLETE]} jobs finished, {states[TrialState.PRUNED]} given up"
    page = html.templates(Path(__file__).parent).get_template("page.html.j2")
    write(
        place / PAGE,
        page.render(
            sweep=sweep,
            counts=counts,
            score=SCORE,
            space={key: _told(one) for key, one in search.space.items()},
            plots=[
                # The page needs no network: the first plot brings the library.
                (title, told, _html(figure, with_library=not k))
                for k, (title, told, figure) in enumerate(plots)
            ],
        ),
    )


def _html(figure: Any, with_library: bool) -> str:
    figure.update_layout(title=None, width=None, autosize=True, margin={"t": 30})
    return str(figure.to_html(full_html=False, include_plotlyjs=with_library, default_height=420))


def _told(one: Dimension) -> str:
    if isinstance(one, Choice):
        return ", ".join(one.values)
    scale = ", logarithmic" if one.log else f", steps of {one.step:g}" if one.step else ""
    return f"{one.low:g} to {one.high:g}{scale}"

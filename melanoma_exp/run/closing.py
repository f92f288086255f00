"""The last that a run records of itself: its description and its page."""

import shlex
from collections.abc import Mapping
from pathlib import Path

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.report import console
from melanoma_exp.report.run_page import write
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import escape, markdown
from melanoma_exp.tracking.base import Run

NAME = "report.html"
HEADLINE = ("balanced_accuracy", "macro_auc")
HOW_TO_READ = (
    "How to read it: curves are `train/` and `val/`, figures at the end `final/val/` and "
    "`final/test/` with `_low` and `_high` of their intervals. Choose by validation. Everything on "
    "one page: `report.html` among the artifacts, or `melanoma-exp report {run}`."
)


def describe(
    run: Run,
    experiment: Experiment,
    datamodule: DataModule,
    decision: Decision | None,
    scores: Mapping[str, Mapping[str, float]],
) -> None:
    """Gives the run the description that MLflow shows above its metrics.

    Args:
        run: Its metrics are recorded.
        experiment: What it ran.
        datamodule: Its data.
        decision: Made on validation.
        scores: For each part its metrics.
    """
    model, split = experiment.model.name, experiment.split.kind
    lines = [
        f"**{console.DISCLAIMER}**",
        f"{model} on {experiment.dataset.kind}, split {split}, augment {experiment.augment.kind}, "
        f"balance {experiment.balance.kind}, seed {experiment.seed}.",
        "**LEAKY: evaluation images were in training. Its figures are optimistic.**"
        if datamodule.leaky
        else "No evaluated image, nor another image of its group, was in training.",
    ]
    if decision is not None:
        lines += [*(f"**WARNING: {doubt}**" for doubt in decision.doubts), decision.sentence]
    figures = [
        f"{part} {key.replace('_', ' ')} {found[key]:.3f} "
        f"({found[f'{key}_low']:.3f} to {found[f'{key}_high']:.3f})"
        for part, found in scores.items()
        for key in HEADLINE
        if key in found
    ]
    lines.append("; ".join(figures) + ".")
    lines.append(HOW_TO_READ.format(run=run.id))
    run.set_tags({"mlflow.note.content": "\n\n".join(map(markdown, lines))})


def save_page(run: Run, experiment: Experiment, datamodule: DataModule, folder: Path) -> None:
    """Saves the page, unless the config does without; a store that is lost has none.

    It is read back from the store, so that it is what `report` writes later; a run without a store
    has no page.

    Args:
        run: Everything but its end is recorded.
        experiment: What it ran.
        datamodule: Its data.
        folder: Holds the files that it has saved.
    """
    if not experiment.evaluation.report or experiment.tracking.kind == "off":
        return
    again = "".join(f" {shlex.quote(word)}" for word in experiment.command_overrides())
    try:
        archive = experiment.tracking.archive()
        text = write.of_ending(archive, run.id, folder, datamodule.data, again)
    except UserError as error:  # the run's record waits on this machine, and is complete
        line = f"note: no {NAME} ({error.lines[0]}); `melanoma-exp report {run.id}` writes it later"
        console.console().print(escape(line), soft_wrap=True)
        return
    (folder / NAME).write_text(text, encoding="utf-8")
    run.log_file(folder / NAME)

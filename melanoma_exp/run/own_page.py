"""The page of a run that is about to end, as one of its artifacts."""

import shlex
from pathlib import Path

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.report import console
from melanoma_exp.report.run_page import write
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import escape
from melanoma_exp.tracking.base import Run

NAME = "report.html"


def record(run: Run, experiment: Experiment, datamodule: DataModule, folder: Path) -> None:
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

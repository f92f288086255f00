"""A tracked run in which nothing is trained: closed however it ends, never resumed."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from melanoma_exp.config import Experiment
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.base import Run, check_complete
from melanoma_exp.training.signals import Interrupted


@contextmanager
def tracked(experiment: Experiment, folder: Path, what: str) -> Iterator[Run]:
    """Starts a run and closes it as finished, failed or killed.

    Args:
        experiment: Gives its name and where it is recorded.
        folder: Of the job.
        what: Names such a run where a signal stops it: "an ensemble".

    Yields:
        The run.

    Raises:
        UserError: The store cannot be reached or written.
    """
    run = experiment.tracking.start(experiment.run_name, folder)
    try:
        yield run
        check_complete(run, (), "give the same command again")
    except BaseException as error:
        if isinstance(error, Interrupted):
            error.message = f"{what} is not resumed: give the same command again"
        with suppress(UserError, OSError):  # what stopped it is reported, not that too
            run.end("KILLED" if isinstance(error, Interrupted) else "FAILED")
        raise
    run.end("FINISHED")

"""What every option of the group `tracking` offers, and what a recorded run can do."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive

SHOWN = 3  # files in a message
Status = Literal["FINISHED", "FAILED", "KILLED"]


class Run(Protocol):
    """One recorded run. Everything logged stays, however the run ends."""

    id: str

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records metrics, as points of a series where `step` is given."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records the dataset that the run used."""

    def log_file(self, path: Path, folder: str = "") -> None:
        """Saves a file below `folder` of the run's artifacts."""

    def log_model(self, code: Path, files: Mapping[str, Path], columns: Mapping[str, str]) -> None:
        """Saves a model that can be served.

        Args:
            code: The module that predicts.
            files: The files it reads, by name.
            columns: What it takes beside images, all optional: `double` or `string` by name.
        """

    def missing_files(self, names: Collection[str]) -> list[str]:
        """Returns which files the run should have and has no more, for somebody deleted them.

        Args:
            names: Below its artifacts; those that this process saved are looked for anyway.

        Raises:
            UserError: The record itself is gone.
        """

    def end(self, status: Status) -> None:
        """Closes the run."""


def check_complete(run: Run, names: Collection[str], advice: str) -> None:
    """Refuses to call a run finished whose files were deleted while it was at work.

    Args:
        run: Has saved all it should.
        names: Files of it, beside those that this process has saved.
        advice: What to do, for the message.

    Raises:
        UserError: One line with some of them.
    """
    if gone := run.missing_files(names):
        shown = ", ".join(gone[:SHOWN]) + f" and {len(gone) - SHOWN} more" * (len(gone) > SHOWN)
        raise UserError(
            f"run {run.id}: {shown} {'was' if len(gone) == 1 else 'were'} deleted while it was at "
            f"work, so it is not finished; {advice}"
        )


@dataclass(frozen=True)
class SweepEnd:
    """The outcome of a sweep.

    Attributes:
        status: As of a run.
        files: Saved as artifacts.
        metrics: Of the sweep and its best honest run.
        tags: Name that run.
    """

    status: Status
    files: Sequence[Path]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Tracking(Spec):
    """Base of the options: where runs are recorded."""

    kind: str

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run.

        Args:
            name: Of the run.
            folder: The run's own folder on this machine.
            resumed: The id of an unfinished run to continue instead.

        Raises:
            UserError: The store cannot be reached or written.
        """
        raise NotImplementedError

    def check(self) -> None:
        """Fails early, before anything slow, where no run could be recorded.

        Raises:
            UserError: The store does not answer, or refuses.
        """

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints; `folder` is the run's own."""
        raise NotImplementedError

    def sync(self, run_id: str) -> None:
        """Uploads what is pending here of an interrupted run, if anything is.

        Raises:
            UserError: The store does not answer or refuses.
        """

    def archive(self) -> "Archive":
        """Opens the store for reading.

        Raises:
            UserError: There is none, or it does not answer.
        """
        raise NotImplementedError

    def storage_overrides(self) -> list[str]:
        """Returns the overrides with which a command started in the same folder finds the runs."""
        return []

    def describe(self) -> str:
        """Returns where runs are recorded: a tracking URI, or words."""
        raise NotImplementedError

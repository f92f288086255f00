"""The options of the group `tracking`, and what a recorded run can do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from melanoma_exp.spec import Spec, UserError

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive


USUAL = Path("mlruns")  # where runs are kept if nobody says otherwise


class StoreError(UserError):
    """The place where runs are recorded is full, locked or does not answer: later it may be mended.

    What it was told may have arrived all the same.
    """


class Run(Protocol):
    """One recorded run. Everything logged stays, however the run ends."""

    id: str

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Records the flat config."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Records figures, as points of a series where `step` is given."""

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Records what a run is searched by."""

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Records what data went in."""

    def log_file(self, path: Path, folder: str = "") -> None:
        """Keeps a file, below `folder` of the run's artifacts."""

    def log_model(self, code: Path, files: Mapping[str, Path]) -> None:
        """Keeps a model that can be served: the module that answers, and files it reads by name."""

    def end(self, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes the run."""


@dataclass(frozen=True)
class SweepEnd:
    """What a sweep led to.

    Attributes:
        status: As of a run.
        files: Kept as artifacts.
        metrics: Of the sweep and its best honest run.
        tags: Say which run that is.
    """

    status: Literal["FINISHED", "FAILED", "KILLED"]
    files: Sequence[Path]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]


class Off(Spec):
    """No MLflow: artifacts stay in the run's own folder, figures on the screen."""

    kind: Literal["off"]

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run that keeps its files below `folder`, or goes on with the one there."""
        from melanoma_exp.tracking.off import FolderRun

        return FolderRun(folder, resumed is not None)

    def check(self) -> None:
        """Asks nobody."""

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints: the run's own `folder`."""
        return folder / "checkpoints"

    def archive(self) -> "Archive":
        """Refuses: there is nothing to read back.

        Raises:
            UserError: Always.
        """
        raise UserError("tracking: needs to know where runs are recorded (got tracking=off)")

    def words(self) -> list[str]:
        """Returns none: no verb finds what is recorded nowhere."""
        return []

    def describe(self) -> str:
        """Says where runs are kept."""
        return "nowhere (tracking=off)"


class Local(Spec):
    """SQLite and artifacts below a folder, by default `mlruns` where the command was started."""

    kind: Literal["local"]
    folder: Path
    experiment: str = Field(min_length=1)

    @property
    def uri(self) -> str:
        """The tracking URI."""
        return f"sqlite:///{self.folder.as_posix()}/mlflow.db"

    @property
    def _artifacts(self) -> str:
        return (self.folder / "artifacts").absolute().as_uri()

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run, or goes on with the one of the id `resumed`.

        Raises:
            UserError: The folder cannot be written.
        """
        from melanoma_exp.tracking import connection, mlflow_run

        connection.prepare_local(self.folder, self.uri)
        return mlflow_run.MlflowRun(self.uri, self.experiment, name, self._artifacts, resumed)

    def start_sweep(self, name: str, process: str, resumed: str | None) -> str:
        """Makes the parent run of a sweep's jobs, or opens it again, and returns its id."""
        from melanoma_exp.tracking import connection, mlflow_sweep

        connection.prepare_local(self.folder, self.uri)
        place = self.experiment, self._artifacts
        return mlflow_sweep.start(self.uri, place, name, process, resumed)

    def end_sweep(self, run_id: str, ended: SweepEnd) -> None:
        """Records what a sweep led to in its parent run and closes that."""
        from melanoma_exp.tracking import mlflow_sweep

        mlflow_sweep.end(self.uri, run_id, ended)

    def check(self) -> None:
        """Asks nobody: the folder is this machine's."""

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints, beside the store."""
        return self.folder / "checkpoints"

    def archive(self) -> "Archive":
        """Opens the store for reading.

        Raises:
            UserError: There is none yet.
        """
        from melanoma_exp.tracking.archive import Archive

        return Archive(self.uri, self.experiment)

    def words(self) -> list[str]:
        """Returns the overrides with which a verb finds these runs from the same folder."""
        return [] if self.folder == USUAL else [f"tracking.folder={self.folder}"]

    def describe(self) -> str:
        """Says where runs are kept."""
        return self.uri


class Server(Spec):
    """An MLflow server, or any other tracking URI that MLflow knows.

    A run that loses it goes on; its record waits below `mlruns/spool` until the server is back.
    """

    kind: Literal["server"]
    uri: str = Field(min_length=1)
    experiment: str = Field(min_length=1)

    @field_validator("uri")
    @classmethod
    def _hold_no_password(cls, uri: str) -> str:
        if urlsplit(uri).password is not None:
            raise ValueError(
                "should hold no password, for the config is logged; set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD instead"
            )
        return uri

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run, or goes on with the one of the id `resumed`.

        Raises:
            UserError: The server does not answer.
        """
        from melanoma_exp.tracking import mlflow_run

        return mlflow_run.MlflowRun(self.uri, self.experiment, name, None, resumed, spooled=True)

    def start_sweep(self, name: str, process: str, resumed: str | None) -> str:
        """Makes the parent run of a sweep's jobs, or opens it again, and returns its id."""
        from melanoma_exp.tracking import mlflow_sweep

        return mlflow_sweep.start(self.uri, (self.experiment, None), name, process, resumed)

    def end_sweep(self, run_id: str, ended: SweepEnd) -> None:
        """Records what a sweep led to in its parent run and closes that."""
        from melanoma_exp.tracking import mlflow_sweep

        mlflow_sweep.end(self.uri, run_id, ended)

    def check(self) -> None:
        """Asks whether the server is there, before a run does what takes time.

        Raises:
            UserError: It is not, or it refuses.
        """
        from melanoma_exp.tracking.connection import connect

        connect(self.uri)

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints: on this machine."""
        return USUAL / "checkpoints"

    def archive(self) -> "Archive":
        """Opens the store for reading.

        Raises:
            UserError: The server does not answer.
        """
        from melanoma_exp.tracking.archive import Archive

        return Archive(self.uri, self.experiment)

    def words(self) -> list[str]:
        """Returns the overrides with which a verb finds these runs."""
        return ["tracking=server", f"tracking.uri={self.uri}"]

    def describe(self) -> str:
        """Says where runs are kept."""
        return self.uri


AnyTracking = Annotated[Local | Server | Off, Field(discriminator="kind")]

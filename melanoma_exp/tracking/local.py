"""Runs in a SQLite database and a folder of artifacts on this machine."""

import os
import sqlite3
from pathlib import Path
from typing import Literal

from melanoma_exp.spec import UserError, UserPath
from melanoma_exp.system import locks
from melanoma_exp.tracking import place
from melanoma_exp.tracking.journal import ROOT
from melanoma_exp.tracking.mlflow_tracking import MlflowTracking
from melanoma_exp.tracking.store import DEFAULT_FOLDER


class Local(MlflowTracking):
    """SQLite and artifacts below a folder, by default `mlruns` in the working directory."""

    kind: Literal["local"]
    folder: UserPath

    def prepare(self) -> None:
        """Creates the database if there is none; see the base class."""
        create_store(self.folder)

    def artifact_root(self) -> str:
        """Returns the folder beside the database."""
        return (self.folder / place.ARTIFACTS).absolute().as_uri()

    def journal_root(self) -> Path:
        """Returns where runs that are recorded now keep their journals: beside the database."""
        return self.folder / ROOT.name

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints: beside the database."""
        return self.folder / "checkpoints"

    def storage_overrides(self) -> list[str]:
        """Returns the folder, unless it is the default."""
        return [] if self.folder == DEFAULT_FOLDER else [f"tracking.folder={self.folder}"]

    def describe(self) -> str:
        """Returns the tracking URI."""
        return f"sqlite:///{self.folder.as_posix()}/mlflow.db"


def create_store(folder: Path) -> None:
    """Creates the SQLite database below a folder, once, however many processes start together.

    Raises:
        UserError: The folder cannot be written.
    """
    from melanoma_exp.tracking.connection import connect, store_errors

    uri = f"sqlite:///{folder.as_posix()}/mlflow.db"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "mlflow.lock").open("w") as lock:
            # Alembic destroys a database that two processes migrate at once, and a kill in the
            # middle leaves one that nobody can open: a new one is created aside and renamed.
            locks.acquire(lock)
            database, aside = folder / place.DATABASE, folder / "mlflow.db.new"
            with store_errors(uri):
                if not database.exists():
                    aside.unlink(missing_ok=True)
                    new_database(aside)
                    os.replace(aside, database)
                connect(uri).search_experiments(max_results=1)
            place.settle(folder)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", error)
        raise UserError(f"tracking.folder: cannot write {folder}: {reason}") from error


def new_database(path: Path) -> None:
    """Creates a SQLite database with the tables of MLflow, by all its migrations: 1.3 CPU-s.

    Args:
        path: Of the file, which is not there yet.
    """
    from melanoma_exp.tracking.connection import connect

    connect(f"sqlite:///{path.as_posix()}").search_experiments(max_results=1)

"""The way to an MLflow store, and its troubles told in one line."""

import fcntl
import logging
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.spec import StoreError

DATABASE_SAYS = re.compile(r"^\(\w+\.\w+Error\) (.+)$", re.MULTILINE)


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turns what goes wrong in the store into one line: unreachable, locked, disk full."""
    try:
        yield
    except (MlflowException, SQLAlchemyError) as error:
        raise StoreError(f"tracking: {what} cannot be used: {reason(error)}") from error


def connect(uri: str) -> mlflow.MlflowClient:
    """Returns a client of the store and makes it the process' own.

    Raises:
        UserError: No server answers at an HTTP address.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # Migrations and hints stay off the user's screen; warnings and errors do not.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # They print the traceback of what `told` says in a line, and once more every five seconds.
    for name in ("store.db.utils", "system_metrics.system_metrics_monitor"):
        logging.getLogger(f"mlflow.{name}").setLevel(logging.CRITICAL)
    _check_server(uri)
    mlflow.set_tracking_uri(uri)
    return mlflow.MlflowClient(uri)


def prepare_local(folder: Path, uri: str) -> None:
    """Makes the SQLite store, once, however many processes start at the same time.

    Args:
        folder: Holds the database and the artifacts.
        uri: Of the database.

    Raises:
        UserError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "mlflow.lock").open("w") as lock:
            # Alembic destroys a database that two processes migrate at once, and leaves one behind
            # that nobody can open if it is killed: a new one is made aside.
            fcntl.flock(lock, fcntl.LOCK_EX)
            database, aside = folder / "mlflow.db", folder / "mlflow.db.new"
            with told(uri):
                if not database.exists():
                    aside.unlink(missing_ok=True)
                    connect(f"sqlite:///{aside.as_posix()}").search_experiments(max_results=1)
                    os.replace(aside, database)
                connect(uri).search_experiments(max_results=1)
    except OSError as error:
        raise UserError(f"tracking.folder: cannot write {folder}: {error.strerror}") from error


def first_line(error: Exception) -> str:
    """Returns the first line of an error's message."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def reason(error: Exception) -> str:
    """Returns what the database says in an error's message, its first line if it is not of one."""
    return next(iter(DATABASE_SAYS.findall(str(error))), first_line(error))


def _check_server(uri: str) -> None:
    """Asks an HTTP server once whether it is there; MLflow itself would try for minutes."""
    if not uri.startswith(("http://", "https://")):
        return
    try:
        urllib.request.urlopen(f"{uri.rstrip('/')}/health", timeout=10).close()
    except urllib.error.HTTPError:
        pass  # it answers, and says in its own words later what it refuses
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise UserError(f"tracking.uri: no MLflow server answers at {uri}: {reason}") from error

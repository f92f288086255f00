"""The way to an MLflow store, and its troubles told in one line."""

import logging
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import mlflow
from mlflow.exceptions import MlflowException
from requests.exceptions import HTTPError, RequestException
from sqlalchemy.exc import SQLAlchemyError

from melanoma_exp.spec import UserError
from melanoma_exp.tracking.base import StoreError

DATABASE_SAYS = re.compile(r"^\(\w+\.\w+Error\) (.+)$", re.MULTILINE)

KNOCK = 5  # seconds in which a server must be found
# In which it must say that it reaches its database: when many runs start at once, or to one that
# asks whether a lost server is back.
FIRST_ANSWER, ANSWER = 30, 5
RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
_users_timeout = os.environ.get(TIMEOUT)
# Told by the server, these may pass: who is asked to log in may do so, a full queue empties.
_PASSING = (401, 403, 408, 429)


@contextmanager
def store_errors(what: str) -> Iterator[None]:
    """Turns what goes wrong in the store into one line: unreachable, locked, disk full.

    Raises:
        StoreError: The same again may succeed later.
        UserError: It never will.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException) as error:
        kind: type[UserError] = StoreError if _may_pass(error) else UserError
        raise kind(f"tracking: {what} cannot be used: {reason(error)}") from error


@contextmanager
def request_timeout(seconds: int) -> Iterator[None]:
    """Bounds each request within: one attempt, so many seconds to connect and for each answer.

    MLflow by itself tries for minutes. A time that the user has set in the environment holds.
    """
    before = {name: os.environ.get(name) for name in (RETRIES, TIMEOUT)}
    os.environ[RETRIES] = "0"
    os.environ[TIMEOUT] = _users_timeout or str(seconds)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def connect(uri: str) -> mlflow.MlflowClient:
    """Returns a client of the store and makes it the process' own.

    Raises:
        UserError: No server answers at an HTTP address, or it refuses.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Of what is only read, again: three attempts, not MLflow's eight within four minutes.
    os.environ.setdefault(RETRIES, "2")
    # Migrations and hints stay off the user's screen; warnings and errors do not.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints the traceback of what `store_errors` says in a line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(uri)
    if uri.startswith(("http://", "https://")):
        check(client, uri, FIRST_ANSWER)
    return client


def check(client: mlflow.MlflowClient, uri: str, seconds: int = ANSWER) -> None:
    """Asks a server once whether it is there and reaches its database, for so long at most.

    Raises:
        StoreError: It is not there, or not now.
        UserError: It refuses.
    """
    try:
        _knock(uri)
        with request_timeout(seconds):
            client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        kind: type[UserError] = StoreError if _may_pass(error) else UserError
        status = error.get_http_status_code() if isinstance(error, MlflowException) else 500
        said = f"no MLflow server answers at {uri}: {first_line(error)}"
        if status == 401:
            said = (
                f"the server at {uri} asks for a login that it knows; set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD"
            )
        elif status < 500:
            said = f"the server at {uri} refuses: {first_line(error)}"
        raise kind(f"tracking.uri: {said}") from error


def first_line(error: BaseException) -> str:
    """Returns the first line of an error's message; of a network's, what the system said."""
    # urllib3 and requests wrap what happened several times, each in more words.
    for cause in (error, *_causes(error)):
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and not isinstance(cause, RequestException):
            return str(cause) if cause.filename else cause.strerror or str(cause)
    return (str(error).splitlines() or [type(error).__name__])[0]


def reason(error: BaseException) -> str:
    """Returns what the database says in an error's message, its first line if it is not of one."""
    return next(iter(DATABASE_SAYS.findall(str(error))), first_line(error))


def _knock(uri: str) -> None:
    """Opens a connection and closes it: MLflow's limits for that and for an answer are one."""
    address = urlsplit(uri)
    host = address.hostname or ""
    if address.scheme in getproxies() and not proxy_bypass(host):
        return
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    socket.create_connection((host, port), timeout=KNOCK).close()


def _causes(error: BaseException) -> Iterator[BaseException]:
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            yield cause
            yield from _causes(cause)


def _may_pass(error: Exception) -> bool:
    """Whether a store that failed so may be as before when it is asked again."""
    if isinstance(error, HTTPError) and error.response is not None:
        status = error.response.status_code
        return status >= 500 or status in (*_PASSING, 404)  # 404: not an MLflow server at all
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return status >= 500 or status in _PASSING or error.error_code == "ENDPOINT_NOT_FOUND"
    return True

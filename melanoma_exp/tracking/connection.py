"""Connections to an MLflow store, and its errors as one line each."""

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
from melanoma_exp.tracking.store import StoreError

DATABASE_MESSAGE = re.compile(r"^\(\w+\.\w+Error\) (.+)$", re.MULTILINE)

CONNECT = 5  # seconds to reach a server
# Seconds for it to answer from its database: when a run starts, perhaps many at once, and when a
# lost server is tried again.
FIRST_ANSWER, ANSWER = 30, 5
RETRIES, TIMEOUT = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
_users_timeout = os.environ.get(TIMEOUT)
# A server that answers so may answer otherwise later: after a login, or when its queue is shorter.
_TEMPORARY = (401, 403, 408, 429)


@contextmanager
def store_errors(uri: str) -> Iterator[None]:
    """Turns an error of the store into one line: unreachable, locked, disk full.

    Raises:
        StoreError: A retry may succeed.
        UserError: A retry cannot succeed.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, RequestException) as error:
        kind = StoreError if _is_temporary(error) else UserError
        raise kind(f"tracking: {uri} cannot be used: {describe_error(error)}") from error


@contextmanager
def request_timeout(seconds: int) -> Iterator[None]:
    """Limits each request within to one attempt and to so many seconds to connect and to answer.

    MLflow by itself retries for minutes. A time that the user has set in the environment holds.
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
    """Returns a client of the store and makes it the default of the process.

    Raises:
        UserError: No server answers at an HTTP address, or it refuses.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    # Retries of what is only read: three attempts, not MLflow's eight within four minutes.
    os.environ.setdefault(RETRIES, "2")
    # Migrations and hints stay off the user's screen; warnings and errors do not.
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints the traceback of what `store_errors` says in a line.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient(uri)
    if is_server(uri):
        check(client, uri, FIRST_ANSWER)
    return client


def is_server(uri: str) -> bool:
    """Whether a tracking URI is the address of a server."""
    return uri.startswith(("http://", "https://"))


def check(client: mlflow.MlflowClient, uri: str, seconds: int = ANSWER) -> None:
    """Asks a server once, for so long at most, whether it reaches its database.

    Raises:
        StoreError: It does not answer now.
        UserError: It refuses.
    """
    try:
        _open_connection(uri)
        with request_timeout(seconds):
            client.search_experiments(max_results=1)
    except (MlflowException, OSError) as error:
        kind = StoreError if _is_temporary(error) else UserError
        status = error.get_http_status_code() if isinstance(error, MlflowException) else 500
        message = f"no MLflow server answers at {uri}: {describe_error(error)}"
        if status == 401:
            message = (
                f"the server at {uri} asks for a login that it knows; set MLFLOW_TRACKING_USERNAME "
                "and MLFLOW_TRACKING_PASSWORD"
            )
        elif status < 500:
            message = f"the server at {uri} refuses: {describe_error(error)}"
        raise kind(f"tracking.uri: {message}") from error


def describe_error(error: BaseException) -> str:
    """Returns one line: what the database or the operating system says, else the first line."""
    if found := DATABASE_MESSAGE.search(str(error)):
        return found[1]
    # urllib3 and requests wrap what happened several times, each in more words.
    for cause in (error, *_causes(error)):
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and not isinstance(cause, RequestException):
            return str(cause) if cause.filename else cause.strerror or str(cause)
    return (str(error).splitlines() or [type(error).__name__])[0]


def _open_connection(uri: str) -> None:
    """Connects and closes: MLflow has one limit for connecting and answering together."""
    address = urlsplit(uri)
    host = address.hostname or ""
    if address.scheme in getproxies() and not proxy_bypass(host):
        return
    port = address.port or {"http": 80, "https": 443}[address.scheme]
    socket.create_connection((host, port), timeout=CONNECT).close()


def _causes(error: BaseException) -> Iterator[BaseException]:
    for cause in (error.__cause__, error.__context__):
        if cause is not None:
            yield cause
            yield from _causes(cause)


def _is_temporary(error: Exception) -> bool:
    """Whether a retry of what failed so may succeed."""
    if isinstance(error, HTTPError) and error.response is not None:
        status = error.response.status_code
        return status >= 500 or status in (*_TEMPORARY, 404)  # 404: not an MLflow server at all
    if isinstance(error, MlflowException):
        status = error.get_http_status_code()
        return status >= 500 or status in _TEMPORARY or error.error_code == "ENDPOINT_NOT_FOUND"
    return True

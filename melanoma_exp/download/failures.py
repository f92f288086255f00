"""How a request fails: for now or for good, why in a few words, and how long to wait then."""

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from melanoma_exp.spec import UserError

FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0  # seconds, doubled each time


class TransientError(Exception):
    """A failure that may be gone at the next try.

    Args:
        why: In words.
        wait: Seconds that the server asks to wait, None where it says nothing.
    """

    def __init__(self, why: str, wait: float | None = None) -> None:
        super().__init__(why)
        self.wait = wait


class RefusedError(UserError):
    """A server that will not give a file at the next try either.

    Args:
        line: For people.
        status: Of the answer.
    """

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.status = status


def wait(tries: int) -> float:
    """Returns how long to wait, with chance in it: many clients must not come back together."""
    return min(FIRST_WAIT * 2 ** (tries - 1), LONGEST_WAIT) * random.uniform(0.75, 1.25)


def asked_to_wait(header: str | None) -> float | None:
    """Returns the seconds that a server asks to wait, given as seconds or as a time."""
    if not header:
        return None
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return max((until - datetime.now(UTC)).total_seconds(), 0.0)


def reason(error: BaseException) -> str:
    """Returns in a few words why a connection failed."""
    inner: Any = error
    while inner.args and isinstance(inner.args[-1], BaseException):
        inner = inner.args[-1]
    inner = getattr(inner, "reason", inner)
    text = str(inner) or type(inner).__name__
    return " ".join(text.split("): ", 1)[-1].split())[:120]

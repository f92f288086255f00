"""What every configurable option shares.

An option of a group (a model, a split, a policy, ...) is one frozen pydantic class. Its fields have
no defaults: the YAML is complete, so the logged config is the whole truth. It holds its ranges and
the verb that does the work. This module imports nothing heavy, and no spec may.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_PASSWORD = re.compile(r"(//[^/@:]*:)[^/@]*@")  # within a URL


class Spec(BaseModel):
    """Base of all options: unknown keys are refused, values cannot change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class UserError(Exception):
    """Something the user can mend, told in one line a problem.

    The command line prints the lines without a traceback and exits with the code, 2 unless a kind
    of its own says otherwise.

    Args:
        lines: One complete sentence a problem: what, where, what was expected, what to do.
    """

    code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def told(error: ValidationError, above: str, tagged: bool = False) -> list[str]:
    """Returns a line for each key that pydantic refuses.

    Args:
        error: What pydantic said.
        above: The key that holds the others.
        tagged: Whether a kind was chosen first, which pydantic counts as a step of the way.
    """
    lines: dict[str, str] = {}
    for found in error.errors():
        key = ".".join([above, *map(str, found["loc"][tagged:])])
        message = found["msg"].removeprefix("Value error, ").removeprefix("Input ")
        got = _PASSWORD.sub(r"\1***@", str(found["input"]))
        lines.setdefault(key, f"{key}: {message} (got {got})")
    return list(lines.values())


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Returns `; did you mean X?` for the known name that is nearest, `otherwise` if none is."""
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else otherwise


def digest(content: Any) -> str:
    """Returns 16 hex digits that identify JSON-serialisable content, independent of key order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]

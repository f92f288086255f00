"""What every configurable option shares, and the one translator of pydantic's errors.

An option of a group (a model, a split, a policy, ...) is one frozen pydantic class. Its fields have
no defaults: the YAML is complete, so the logged config is the whole truth. The class holds its
ranges and the method that does the work. This module imports nothing heavy, and no spec may.
"""

import difflib
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    TypeAdapter,
    ValidationError,
)

T = TypeVar("T")


def _named(value: Any) -> Any:
    """Refuses what a shell makes of a variable that is not set: the current folder, by `Path`."""
    if value == "":
        raise ValueError("should name a file or folder")
    return value


# Of a file or folder that the user names; `~` is the home folder.
UserPath = Annotated[Path, BeforeValidator(_named), AfterValidator(Path.expanduser)]
_PASSWORD = re.compile(r"(//[^/@:]*:)[^/@]*@")  # within a URL
SHOWN = 200  # characters of a wrong value that a message repeats
_MISSING: Any = object()


class Spec(BaseModel):
    """Base of all options: unknown keys are refused, values cannot change after parsing."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class UserError(Exception):
    """Something the user can fix, in one line a problem.

    The command line prints the lines without a traceback and exits with `code`, which a subclass
    may change.

    Args:
        lines: One complete sentence a problem: what, where, what was expected, what to do.
    """

    code = 2

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def validate(
    expected: type[T] | TypeAdapter[T], content: Any, prefix: str = "", context: Any = None
) -> T:
    """Checks plain dicts and lists.

    Args:
        expected: The class or union that they describe.
        content: What is checked.
        prefix: The key that holds it.
        context: For validators.

    Raises:
        UserError: A line for each key that is wrong.
    """
    if lines := list(not_text(content, prefix)):
        raise UserError(*lines)
    try:
        return _adapter(expected).validate_python(content, context=context)
    except ValidationError as error:
        raise UserError(*describe_errors(error, content, prefix)) from None


def validate_json(
    expected: type[T] | TypeAdapter[T], text: str | bytes, file: object, advice: str = ""
) -> T:
    """Checks the text of a file that this package wrote.

    Args:
        expected: The class or union that it describes.
        text: Its content.
        file: Its name or path, for the message.
        advice: What to do, for the message.

    Raises:
        UserError: It is not as it was written; one line with the first key that is wrong.
    """
    try:
        return _adapter(expected).validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        reason = (
            f"{f' at {key}' if key else ''}: {_message(first)}{f'; {advice}' if advice else ''}"
        )
        raise UserError(f"{file}: is damaged{reason}") from None


def not_text(content: Any, key: str = "") -> Iterator[str]:
    """Yields a line for each text that no record could hold: a path whose bytes are not UTF-8.

    Args:
        content: Plain dicts, lists and values.
        key: That holds it.
    """
    if isinstance(content, str | Path):
        try:
            str(content).encode()
        except UnicodeEncodeError:
            yield f"{key}: {ascii(str(content))} is not in UTF-8; rename that file or folder"
    items: Iterable[Any] = enumerate(content) if isinstance(content, list | tuple) else ()
    for name, value in content.items() if isinstance(content, Mapping) else items:
        yield from not_text(value, f"{key}.{name}" if key else str(name))


def describe_errors(error: ValidationError, content: Any, prefix: str = "") -> list[str]:
    """Returns a line for each key that pydantic refuses.

    Args:
        error: What pydantic raised.
        content: What it refused: plain dicts and lists.
        prefix: The key that holds `content`.
    """
    lines: dict[str, str] = {}
    for entry in error.errors():
        keys = _keys(entry, content)
        key = ".".join(map(str, [prefix, *keys] if prefix else keys))
        # Where a value may be one of several types, each type complains: the first will do.
        lines.setdefault(key, f"{key}: {_describe(entry, keys, content)}")
    return list(lines.values())


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "") -> str:
    """Returns `; did you mean X?` for the known name that is nearest, `otherwise` if none is."""
    near = difflib.get_close_matches(name, list(known), 1, 0.5)
    return f"; did you mean {near[0]}?" if near else otherwise


def digest(content: Any) -> str:
    """Returns 16 hex digits that identify JSON-serialisable content, independent of key order."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _adapter(expected: type[T] | TypeAdapter[T]) -> TypeAdapter[T]:
    return expected if isinstance(expected, TypeAdapter) else TypeAdapter(expected)


def _describe(entry: Any, keys: list[Any], content: Any) -> str:
    """Returns what is wrong with the value at `keys`."""
    kind, given = entry["type"], entry["input"]
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        above = "".join(f"{step}." for step in keys[:-1])
        known = [f"{above}{name}" for name in _siblings(keys, content)]
        return f"there is no such key{did_you_mean('.'.join(map(str, keys)), known)}"
    if kind == "value_error":
        return _message(entry)
    message, guess = _message(entry), ""
    if kind == "path_type":
        message = "should be a path"
    elif kind == "union_tag_not_found":
        return "has no kind"
    elif kind in ("literal_error", "union_tag_invalid"):
        name = "expected" if kind == "literal_error" else "expected_tags"
        options = re.findall(r"'([^']*)'", entry["ctx"][name])
        given = entry["ctx"]["tag"] if kind == "union_tag_invalid" else given
        if options:
            message = f"should be one of {', '.join(options)}"
            guess = did_you_mean(str(given), options)
    shown = given if isinstance(given, str) else json.dumps(given, default=str)
    shown = _PASSWORD.sub(r"\1***@", shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…")
    return f"{message} (got {shown}){guess}"


def _message(entry: Any) -> str:
    text: str = "is missing" if entry["type"] == "missing" else entry["msg"]
    return text.removeprefix("Value error, ").removeprefix("Input ")


def _keys(entry: Any, content: Any) -> list[Any]:
    """Returns the user's keys of an error, without pydantic's names of alternatives."""
    keys, node = [], content
    for step in entry["loc"]:
        inner = _child(node, step)
        if inner is not _MISSING:
            keys.append(step)
            node = inner
    if entry["type"] == "missing":
        keys.append(entry["loc"][-1])
    if entry["type"] == "union_tag_invalid":
        keys.append(entry["ctx"]["discriminator"].strip("'"))
    return keys


def _child(node: Any, step: Any) -> Any:
    if isinstance(node, Mapping):
        return node.get(step, _MISSING)
    if isinstance(node, list | tuple) and isinstance(step, int) and step < len(node):
        return node[step]
    return _MISSING


def _siblings(keys: list[Any], content: Any) -> list[str]:
    """Returns the keys beside an unknown one."""
    node = content
    for step in keys[:-1]:
        node = _child(node, step)
    return [str(key) for key in node if key != keys[-1]] if isinstance(node, Mapping) else []

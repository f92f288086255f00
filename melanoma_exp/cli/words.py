"""Words of the command line that Hydra's grammar cannot read as they are, such as paths."""

import os
import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

_HOME = re.compile(r"([+~]*[A-Za-z_][\w.@/]*)=(~(?:/.*)?)")


def expand_home(words: list[str]) -> list[str]:
    """Returns the words with `~` at the beginning of a value as the user's home folder.

    A shell leaves it as it is there, and Hydra's grammar has no such character.
    """
    return [_expanded(word) for word in words]


def _expanded(word: str) -> str:
    found = _HOME.fullmatch(word)
    if not found:
        return word
    values = map(os.path.expanduser, found.group(2).split(","))
    expanded = f"{found.group(1)}={','.join(values)}"
    return expanded if _value(expanded) is not None else quoted(expanded) or expanded


def unreadable(word: str, error: HydraException) -> str:
    """Returns a line that says what is wrong with a word, and how to type what it may have meant.

    Args:
        word: It.
        error: What Hydra raised.
    """
    as_text = quoted(word)
    if as_text is None:
        return f"{word}: cannot be read: {str(error).splitlines()[0]}"
    return f"{word}: cannot be read: Hydra wants quotes around such a value; type {shown(as_text)}"


def several(word: str) -> str:
    """Returns a line about a word with several values where one run was asked for."""
    as_text = quoted(word)
    comma = f"; for one value with a comma type {shown(as_text)}" if as_text else ""
    key, _, value = word.partition("=")
    return f"{word}: has several values, a run each: add -m{comma}; a list is {key}=[{value}]"


def quoted(word: str) -> str | None:
    """Returns a word with its value in the quotes that Hydra takes off; None where that fails."""
    key, _, value = word.partition("=")
    ending = len(value) - len(value.rstrip("\\"))  # these would quote the quote
    text = f"{key}='{value.replace(chr(39), chr(92) + chr(39))}{chr(92) * ending}'"
    return text if _value(text) == value else None


def typed(word: str) -> str:
    """Returns an override of one value as it is typed in a shell, in Hydra's quotes if need be."""
    if _value(word) == word.partition("=")[2]:
        return shlex.quote(word)
    return shown(quoted(word) or word)


def shown(word: str) -> str:
    """Returns a word as it is typed in a shell."""
    return shlex.quote(word) if re.search(r'["$`\\!]', word) else f'"{word}"'


def _value(word: str) -> str | None:
    """Returns the text of a word's value, None where it cannot be read."""
    try:
        return str(OverridesParser.create().parse_override(word).value())
    except HydraException:
        return None

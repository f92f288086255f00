"""Tab completion of commands and run ids; that of groups and options is Hydra's."""

import os
from collections.abc import Callable, Mapping, Sequence

SHOWN = 50  # run ids, the newest


def is_query(arguments: Sequence[str]) -> bool:
    """Whether the shell asks what may stand where the cursor is."""
    asked = {"--shell-completion", "-sc"} & set(arguments)
    return bool(asked) and any(word.startswith("query=") for word in arguments)


def typed() -> str:
    """Returns the command line up to the cursor, as the shell gives it."""
    line = os.environ.get("COMP_LINE", "")
    return line[: int(os.environ.get("COMP_POINT") or len(line))]


def suggest(line: str, commands: Mapping[str, Callable[[list[str]], None]]) -> list[str]:
    """Returns the commands, or behind one that takes runs the newest of the local store.

    Args:
        line: Up to the cursor, the program first.
        commands: By name; one whose docstring names RUN_ID takes runs.
    """
    _, *words = line.split()
    if line.endswith(" ") or not words:
        words.append("")
    first, last = words[0], words[-1]
    if len(words) == 1:
        return [name for name in commands if name.startswith(first)]
    if "RUN_ID" not in (getattr(commands.get(first), "__doc__", "") or ""):
        return []
    from melanoma_exp.tracking import place
    from melanoma_exp.tracking.store import DEFAULT_FOLDER

    return place.run_ids(DEFAULT_FOLDER, last, SHOWN)


def is_behind_command(line: str, commands: Mapping[str, object]) -> bool:
    """Whether the cursor is behind a command, where Hydra knows nothing."""
    words = line.split()[1:]
    return bool(words) and words[0] in commands and (len(words) > 1 or line.endswith(" "))

"""What a bad input is answered with: one line, or several that name different faults."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError

Case = Callable[[Path], Any]  # gives the program a bad input that it makes in an empty folder
Cases = Mapping[str, Case]


def refusal(case: Case, place: Path) -> str:
    """Returns what is said of a bad input; anything but a refusal is raised.

    Args:
        case: Ends with an error for the user, or returns the error that is answered.
        place: An empty folder, whose name is taken out of what is said.
    """
    try:
        answer = case(place)
    except UserError as error:
        assert all("\n" not in line for line in error.lines)
        answer = " / ".join(error.lines)
    assert isinstance(answer, str) and answer, f"nothing was said but {answer!r}"
    return answer.replace(f"{place}/", "").replace(str(place), "FOLDER")


def write(path: Path, content: str | bytes) -> Path:
    """Writes a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path

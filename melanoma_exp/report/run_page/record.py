"""What a run recorded, as its page needs it: a part that is missing is named, not an error."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.spec import UserError
from melanoma_exp.system.files import read_text
from melanoma_exp.tracking.archive import Archive, StoredRun

PARTS = {"test": "test", "val": "validation"}  # in the order of the page
T = TypeVar("T")
CURVES = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")


@dataclass
class RunRecord:
    """A run as it was recorded.

    Attributes:
        archive: Where it is recorded.
        stored: The run.
        folder: Holds files of it that need not be fetched; None holds none.
        missing: What was looked for and is not there, a line each; grows while it is read.
    """

    archive: Archive
    stored: StoredRun
    folder: Path | None = None
    missing: list[str] = field(default_factory=list)

    def text(self, name: str) -> str | None:
        """Returns the text of an artifact, None where there is none."""
        return self._read(name, lambda: self._text(name))

    def json(self, name: str) -> Any:
        """Returns the content of an artifact in JSON, None where it is missing or damaged."""
        return self._read(name, lambda: json.loads(self._text(name)))

    def decision(self) -> Decision | None:
        """Returns what was decided on validation, None where it is missing or damaged."""
        return self._read("decision.json", lambda: Decision.from_json(self._text("decision.json")))

    def file(self, name: str) -> Path | None:
        """Returns a local copy of an artifact, None where there is none."""
        if self.folder is not None and (path := self.folder / Path(name).name).is_file():
            return path
        return self._read(name, lambda: self.archive.file(self.stored, name))

    def evaluations(self) -> dict[str, Any]:
        """Returns the content of `evaluation_<part>.json` by part."""
        parts = [part for part in PARTS if part == "val" or self.stored.metrics.get("test_images")]
        found = {part: self.json(f"evaluation_{part}.json") for part in parts}
        return {part: content for part, content in found.items() if content is not None}

    def curves(self) -> dict[str, list[tuple[int, float]]]:
        """Returns the points of each learning curve."""
        return {key: self.archive.series(self.stored.id, key) for key in CURVES}

    def metric(self, key: str) -> float | None:
        """Returns the last value of a metric, None where it was not logged."""
        return self.stored.metrics.get(key)

    def _text(self, name: str) -> str:
        if self.folder is not None and (path := self.folder / name).is_file():
            return read_text(path)
        return self.archive.text(self.stored, name)

    def _read(self, name: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except UserError as error:
            self.missing.append(f"{name}: {error.lines[0]}")
        except (ValueError, KeyError, TypeError) as error:
            self.missing.append(f"{name}: is damaged: {error}")
        return None


def grouped(params: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Returns the flat config by its groups, in order."""
    found: dict[str, dict[str, str]] = {}
    for key, value in sorted(params.items()):
        group = key.partition(".")[0] if "." in key else "run"
        found.setdefault(group, {})[key] = value
    return found

"""Runs without MLflow, recorded in their own folder alone."""

import json
import math
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from melanoma_exp.spec import UserError
from melanoma_exp.system.files import aside, write
from melanoma_exp.tracking.base import Run, Tracking

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive

ARTIFACTS = "artifacts"  # below the run's folder


class Off(Tracking):
    """No MLflow: artifacts stay in the run's own folder, metrics on the screen."""

    kind: Literal["off"]

    def start(self, name: str, folder: Path, resumed: str | None = None) -> Run:
        """Starts a run that saves its files below `folder`, or continues the one there."""
        return FolderRun(folder, resumed is not None)

    def state_folder(self, folder: Path) -> Path:
        """Returns where unfinished runs keep their checkpoints: the run's own `folder`."""
        return folder / "checkpoints"

    def archive(self) -> "Archive":
        """Refuses: there is nothing to read back.

        Raises:
            UserError: Always.
        """
        raise UserError("tracking: needs to know where runs are recorded (got tracking=off)")

    def describe(self) -> str:
        """Says that runs are not recorded."""
        return "nowhere (tracking=off)"


class FolderRun:
    """Keeps artifacts and one line a metric below a folder."""

    id = "untracked"

    def __init__(self, folder: Path, resumed: bool = False) -> None:
        """Opens the folder; a resumed run does not repeat the lines that are there."""
        self._folder = folder
        self._saved: list[str] = []  # files, below the artifacts
        self._known: set[str] = set()
        if resumed and (path := folder / "metrics.jsonl").exists():
            text = path.read_text()
            whole = text[: text.rfind("\n") + 1]
            if whole != text:  # a line that was being written when the process died
                write(path, whole)
            self._known = {_address(json.loads(line)) for line in whole.splitlines()}

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Nothing to do: `experiment.json` is an artifact."""

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Appends to `metrics.jsonl`; a metric that is not finite is null there."""
        finite = {key: value if math.isfinite(value) else None for key, value in metrics.items()}
        line = {"step": step, **finite}
        if _address(line) not in self._known:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Writes `tags.json`, keeping earlier ones."""
        path = self._folder / "tags.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        self._folder.mkdir(parents=True, exist_ok=True)
        write(path, json.dumps({**known, **tags}, indent=1))

    def log_dataset(self, name: str, digest: str, source: str, profile: Mapping[str, Any]) -> None:
        """Tags the dataset's digest."""
        self.set_tags({"dataset": name, "dataset_digest": digest})

    def log_file(self, path: Path, folder: str = "") -> None:
        """Copies a file to `artifacts/`."""
        target = self._folder / ARTIFACTS / folder
        target.mkdir(parents=True, exist_ok=True)
        with aside(target / path.name) as partial:
            shutil.copy2(path, partial)
        self._saved.append(f"{folder}/{path.name}".lstrip("/"))

    def log_model(self, code: Path, files: Mapping[str, Path], columns: Mapping[str, str]) -> None:
        """Nothing to do: the files are artifacts."""

    def missing_files(self, names: Collection[str]) -> list[str]:
        """Returns files that are gone from `artifacts/`."""
        wanted = {*names, *self._saved}
        return sorted(name for name in wanted if not (self._folder / ARTIFACTS / name).exists())

    def end(self, status: str) -> None:
        """Tags how the run ended."""
        self.set_tags({"status": status})


def _address(line: Mapping[str, Any]) -> str:
    """Returns what a line is about: its step and keys."""
    return json.dumps([line["step"], *(key for key in line if key != "step")])

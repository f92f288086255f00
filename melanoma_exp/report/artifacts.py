"""Writes artifacts of a run: figures, texts and tables."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from melanoma_exp.report import figures
from melanoma_exp.system.shown import TableWriter
from melanoma_exp.tracking.base import Run


class Artifacts:
    """Writes files into a folder and logs them to a run."""

    def __init__(self, run: Run, folder: Path, draws: bool) -> None:
        """Prepares.

        Args:
            run: Where they are saved.
            folder: Holds them until then.
            draws: Whether figures are drawn.
        """
        self._run, self.folder, self._draws = run, folder, draws

    def figure(self, name: str, draw: Callable[[], Figure]) -> None:
        """Saves a figure as `figures/<name>.png`, where figures are drawn."""
        if not self._draws:
            return
        path = self.folder / f"{name}.png"
        figures.save(draw(), path)
        self._run.log_file(path, "figures")

    def text(self, name: str, text: str) -> None:
        """Saves a text in UTF-8; a name may have folders."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        self._run.log_file(path, "" if path.parent == self.folder else str(Path(name).parent))

    def table(self, name: str, heads: list[str], rows: Iterable[Iterable[Any]]) -> None:
        """Saves rows as CSV in UTF-8."""
        path = self.folder / name
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = TableWriter(file)
            writer.writerow(heads)
            writer.writerows(rows)
        self._run.log_file(path)

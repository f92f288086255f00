"""Small runs in a store, and the ensemble that the command makes of them."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from small_run import experiment, runs

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.prediction import saved_model
from melanoma_exp.run import runner


class Made:
    """Trains some runs and averages them."""

    def __init__(
        self, images: Path, place: Path, members: Sequence[Sequence[str]], *words: str
    ) -> None:
        """Trains the runs of a sweep `parts`, then makes an ensemble of it.

        Args:
            images: The folder of the images.
            place: The folder of the store.
            members: The overrides of each run.
            words: Further words of the command.
        """
        self.place, self.images = place, images
        for k, overrides in enumerate(members):
            runner.run(experiment(images, place, *overrides), place / str(k), {"sweep": "parts"})
        self.members = [r.info.run_id for r in sorted(runs(place), key=lambda r: r.info.start_time)]
        self.call("ensemble", "--sweep", "parts", *words)
        (self.run,) = self.others(*self.members)
        self.id = self.run.info.run_id

    def call(self, name: str, *words: object) -> None:
        """Runs a command in this store."""
        where = [f"tracking.folder={self.place / 'mlruns'}"]
        if name != "predict":
            where.append(f"cache.dir={self.place / 'cache'}")
        COMMANDS[name]([*map(str, words), *where])

    def others(self, *known: str) -> list:
        """Returns the runs of the store beside some."""
        return [run for run in runs(self.place) if run.info.run_id not in known]

    def folder(self, run_id: str) -> Path:
        """Returns a run's artifacts."""
        return self.place / "mlruns" / "artifacts" / run_id / "artifacts"

    def table(self, run_id: str, name: str) -> list[dict[str, str]]:
        """Reads a table of a run."""
        with (self.folder(run_id) / name).open(newline="") as file:
            return list(csv.DictReader(file))

    def saved(self, run_id: str, precision: str | None = None) -> saved_model.SavedModel:
        """Builds a run's network from its own files."""
        files = {name: self.folder(run_id) / name for name in saved_model.FILES}
        return saved_model.load("run", files, precision)

    def pixels(self, names: list[str]) -> np.ndarray:
        """Decodes images of the dataset."""
        decode = self.saved(self.id).decode
        return np.stack([decode(self.images / name) for name in names])

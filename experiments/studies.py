"""The studies: each a question put as setups that are compared."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import operating_point
from drawing import draw_leak, draw_recipes
from forest import draw_recipes_against

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.tracking.archive import Archive


@dataclass(frozen=True)
class Study:
    """A question put as setups that are compared.

    Attributes:
        rows: The overrides of each setup by its name.
        repeats: Values of each key in which the runs of one setup differ.
        fixed: Overrides of every job.
        draw: Draws the comparison into a file and says in words what it shows.
        reference: The setup that all others are tested against; None tests all pairs.
        ensembles: By name the setups whose runs are averaged; rows of the comparison too.
        describe: Returns further lines of Markdown about the comparison.
    """

    rows: Mapping[str, Sequence[str]]
    repeats: Mapping[str, Sequence[str]]
    fixed: Sequence[str]
    draw: Callable[[Comparison, Path], list[str]]
    reference: str | None = None
    ensembles: Mapping[str, Sequence[str]] = field(default_factory=dict)
    describe: Callable[[Archive, Comparison], list[str]] = lambda archive, compared: []

    def job(self, row: str, *repeats: str) -> list[str]:
        """Returns the overrides of one job.

        Args:
            row: The name of a setup.
            repeats: A word for each key of `repeats`.
        """
        suffix = {"split.fold": "-fold${split.fold}", "seed": "-s${seed}"}
        name = "".join([row, *(suffix[key] for key in self.repeats)])
        return [*self.rows[row], *self.fixed, *repeats, f"name={name}"]

    def jobs(self, *rows: str) -> list[list[str]]:
        """Returns the overrides of each job, of some setups or of all."""
        choices = list(itertools.product(*self.repeats.values()))
        return [
            self.job(row, *(f"{k}={v}" for k, v in zip(self.repeats, values, strict=True)))
            for row in rows or self.rows
            for values in choices
        ]


RECIPES = {name: (f"experiment={name}",) for name in ("m1", "m2", "m3")}
SEEDS = ("1", "2", "3")
FOLDS = ("0", "1", "2", "3", "4")
STUDIES = {
    "02-leak": Study(
        {
            f"{recipe}-{split}": (f"experiment={recipe}", f"split={split}")
            for recipe in ("m1", "m3")
            for split in ("published", "holdout")
        },
        {"seed": SEEDS},
        ("dataset=isic9", "train.precision=float32"),
        draw_leak,
    ),
    "03-m1-m2-m3": Study(
        RECIPES,
        {"split.fold": FOLDS, "seed": ("1", "2")},
        (
            "dataset=isic9",
            "dataset.labels=verified",
            "split=kfold",
            "train.epochs=20",
            "train.precision=float32",
        ),
        draw_recipes,
    ),
    "04-ham10000": Study(
        RECIPES,
        {"seed": SEEDS},
        ("dataset=ham10000", "train.epochs=20", "train.precision=float32"),
        draw_recipes,
    ),
    "07-best": Study(
        {
            "m3": (
                "experiment=m3",
                "train.epochs=20",
                "dataset.image_size=[64,64]",
                "train.precision=auto",
            ),
            "features": ("experiment=recipe/features",),
            "transfer": ("experiment=recipe/transfer",),
        },
        {"split.fold": FOLDS},
        ("dataset=ham10000", "split=kfold", "split.test=0"),
        partial(draw_recipes_against, "m3"),
        reference="m3",
        ensembles={"ensemble": ("features", "transfer")},
        describe=operating_point.describe,
    ),
}

"""The studies: each a question put as setups that are compared."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import learning_curves
import operating_point
import parts
from drawing import draw_leak, draw_recipes
from forest import draw_recipes_against
from setups import (
    ADDED,
    EIGHT_VIEWS,
    FOLDS,
    FOUR_VIEWS,
    IMAGES,
    M3_ALONE,
    RECIPES,
    REMOVED,
    SEEDS,
    SHORT_M3,
    SMALL,
    SMALL_RECIPE,
    WAYS,
    of_images,
    with_images,
)

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.tracking.archive import Archive


@dataclass(frozen=True)
class Study:
    """A question put as setups that are compared.

    Attributes:
        rows: The overrides of each setup by its name.
        repeats: Values of each key in which the runs of one setup differ.
        fixed: Overrides of every job.
        draw: Draws the comparisons into a file and says in words what they show.
        families: By name of the reference the setups that are tested against it, each family a
            comparison of its own; empty makes one of all setups, every pair tested.
        ensembles: By name the setups whose runs are averaged, setups too, and overrides of how
            they predict. Where seeds are repeats, one a seed.
        describe: Returns further lines of Markdown about the comparisons.
    """

    rows: Mapping[str, Sequence[str]]
    repeats: Mapping[str, Sequence[str]]
    fixed: Sequence[str]
    draw: Callable[[Sequence[Comparison], Path], list[str]]
    families: Mapping[str, Sequence[str]] = field(default_factory=dict)
    ensembles: Mapping[str, tuple[Sequence[str], Sequence[str]]] = field(default_factory=dict)
    describe: Callable[[Archive, Sequence[Comparison]], list[str]] = lambda archive, compared: []

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


def _best(
    rows: Mapping[str, Sequence[str]],
    ensembles: Mapping[str, tuple[Sequence[str], Sequence[str]]],
    data: Sequence[str],
) -> Study:
    """Returns recipes and their ensemble against M3, over five folds."""
    return Study(
        rows,
        {"split.fold": FOLDS},
        data,
        partial(draw_recipes_against, "m3"),
        families={"m3": [name for name in (*rows, *ensembles) if name != "m3"]},
        ensembles=ensembles,
        describe=operating_point.describe,
    )


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
    "05-recipe": Study(
        {
            "recipe": SMALL_RECIPE,
            "m3": SHORT_M3,
            **{
                f"recipe-without-{part}": (*SMALL_RECIPE, *words) for part, words in REMOVED.items()
            },
            "recipe-without-resnet": (*SMALL_RECIPE, "model=m3"),
            "m3-without-augmentor": (*M3_ALONE, "augment=none", "balance=none"),
            **{f"m3-with-{part}": (*SHORT_M3, *words) for part, words in ADDED.items()},
        },
        {"seed": ("1", "2"), "split.fold": ("0", "1")},
        (
            "dataset=ham10000",
            "split=kfold",
            "split.folds=3",
            "split.test=0",
            "dataset.image_size=[48,64]",
            "train.precision=auto",
        ),
        parts.draw_parts,
        families={
            "m3": ["recipe", "m3-without-augmentor", *(f"m3-with-{part}" for part in ADDED)],
            "recipe": [f"recipe-without-{part}" for part in ADDED],
        },
        describe=parts.describe,
    ),
    "06-transfer": Study(
        {of_images(way, n): with_images(way, n) for n in IMAGES for way in WAYS},
        {"split.fold": ("0", "1", "2")},
        ("dataset=ham10000", "split=kfold", "split.test=0"),
        learning_curves.draw_curves,
        families={
            of_images("scratch", n): [of_images(way, n) for way in ("features", "transfer")]
            for n in IMAGES
        },
        describe=parts.describe,
    ),
    "07-best": _best(
        {
            **SMALL,
            **WAYS,
            "scratch-seed-2": (*WAYS["scratch"], "seed=2"),
            "features-seed-2": (*WAYS["features"], "seed=2"),
        },
        {
            "scratch-8-views": (("scratch",), EIGHT_VIEWS),
            "transfer-8-views": (("transfer",), EIGHT_VIEWS),
            "ensemble-4-views": (("features", "transfer"), FOUR_VIEWS),
            "ensemble-of-five": (
                ("scratch", "features", "transfer", "scratch-seed-2", "features-seed-2"),
                FOUR_VIEWS,
            ),
        },
        ("dataset=ham10000", "split=kfold", "split.test=0"),
    ),
    "07-best-isic9": _best(
        {
            **SMALL,
            "scratch": ("experiment=recipe/scratch", "dataset.image_size=[64,64]"),
            "features": ("experiment=recipe/features", "dataset.image_size=[176,176]"),
            "transfer": ("experiment=recipe/transfer", "dataset.image_size=[128,128]"),
        },
        {"ensemble": (("features", "transfer"), ())},
        ("dataset=isic9", "dataset.labels=verified", "split=kfold"),
    ),
}

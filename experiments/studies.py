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
        ensembles: By name the setups whose runs are averaged, seed by seed, setups too, and
            overrides of how they predict.
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


RECIPES = {name: (f"experiment={name}",) for name in ("m1", "m2", "m3")}
SEEDS = ("1", "2", "3")
FOLDS = ("0", "1", "2", "3", "4")
SMALL = {
    name: (*words, "train.epochs=20", "dataset.image_size=[64,64]", "train.precision=auto")
    for name, words in RECIPES.items()
}


# How the recipes predict; the runs on HAM10000 were trained before that was settled.
EIGHT_VIEWS = ("inference=flips", "inference.scales=[1.0,1.25]", "inference.prior_correction=0.75")
FOUR_VIEWS = ("inference=flips", "inference.scales=[1.0]", "inference.prior_correction=0.75")


# The parts of recipe/scratch at 48x64 pixels, half as wide, as overrides of M3 and back to M3.
SMALL_NET = ("model=resnet", "model.widths=[16,32,64,128]", "model.stem.filters=16")
ADDED = {
    "augment": ("augment=recipe", "balance=none", "train.epochs=20"),  # in place of Augmentor
    "sampling": ("augment=none", "balance=sampling", "train.epochs=20"),
    "adamw": (
        "train.optimizer=adamw",
        "train.learning_rate=2e-3",
        "train.weight_decay=0.05",
        "train.schedule=cosine",
        "train.warmup_epochs=2",
    ),
    "smoothing": ("train.loss.label_smoothing=0.1",),
    "ema": ("train.ema=0.995",),
    "mixup": ("augment.batch=[{kind:mixup,alpha:0.2,probability:1.0}]",),
    "resnet": SMALL_NET,
}
REMOVED = {
    "augment": ("augment=none",),  # mixup stays
    "sampling": ("balance=none",),
    "adamw": (
        "train.optimizer=adam",
        "train.learning_rate=1e-3",
        "train.weight_decay=0",
        "train.schedule=constant",
        "train.warmup_epochs=0",
    ),
    "smoothing": ("train.loss.label_smoothing=0",),
    "ema": ("train.ema=null",),
    "mixup": ("augment.batch=[]",),
}
ONE_VIEW = ("inference=single", "inference.scales=[1.0]", "inference.prior_correction=none")
SMALL_RECIPE = ("experiment=recipe/scratch", *ONE_VIEW, "train.epochs=20")
# Augmentor more than doubles the images of an epoch: half as many epochs show as many images.
SHORT_M3 = ("experiment=m3", "train.epochs=10")
M3_ALONE = ("experiment=m3", "train.epochs=20")


# Fewer images take more epochs: (epochs, batch size) by images of a class.
IMAGES = {"10": "10", "30": "30", "100": "100", "all": "null"}
SHORTER = {
    "scratch": {"10": (60, 8), "30": (60, 16), "100": (40, 32), "all": (40, 32)},
    "features": {"10": (40, 64), "30": (40, 64), "100": (40, 64), "all": (40, 64)},
    "transfer": {"10": (20, 8), "30": (20, 16), "100": (12, 32), "all": (8, 32)},
}
FOUR = ("inference=flips", "inference.scales=[1.0]", "inference.prior_correction=0.5")
WAYS = {
    "scratch": ("experiment=recipe/scratch", *SMALL_NET, "dataset.image_size=[60,80]", *FOUR),
    "features": ("experiment=recipe/features", "inference.prior_correction=1.0"),
    "transfer": ("experiment=recipe/transfer", *FOUR),
}


def _with_images(way: str, count: str) -> tuple[str, ...]:
    """Returns a way of training with at most so many images of a class."""
    epochs, batch_size = SHORTER[way][count]
    return (
        *WAYS[way],
        f"split.train_per_class={IMAGES[count]}",
        f"train.epochs={epochs}",
        f"train.batch_size={batch_size}",
    )


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
            "recipe": (*SMALL_RECIPE, *SMALL_NET),
            "m3": SHORT_M3,
            **{
                f"recipe-without-{part}": (*SMALL_RECIPE, *SMALL_NET, *words)
                for part, words in REMOVED.items()
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
        {f"{way}-{count}": _with_images(way, count) for count in IMAGES for way in WAYS},
        {"split.fold": ("0", "1", "2")},
        ("dataset=ham10000", "split=kfold", "split.test=0"),
        learning_curves.draw_curves,
        families={f"scratch-{n}": [f"features-{n}", f"transfer-{n}"] for n in IMAGES},
        describe=parts.describe,
    ),
    "07-best": _best(
        {
            **SMALL,
            "features": ("experiment=recipe/features", "inference.prior_correction=1.0"),
            "transfer": (
                "experiment=recipe/transfer",
                "inference.scales=[1.0]",
                "inference.prior_correction=0.5",
            ),
        },
        {
            "transfer-8-views": (("transfer",), EIGHT_VIEWS),
            "ensemble-4-views": (("features", "transfer"), FOUR_VIEWS),
        },
        ("dataset=ham10000", "split=kfold", "split.test=0"),
    ),
    "07-best-isic9": _best(
        {
            **SMALL,
            "features": ("experiment=recipe/features", "dataset.image_size=[176,176]"),
            "transfer": ("experiment=recipe/transfer", "dataset.image_size=[128,128]"),
        },
        {"ensemble": (("features", "transfer"), ())},
        ("dataset=isic9", "dataset.labels=verified", "split=kfold"),
    ),
}

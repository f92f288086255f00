"""Runs a study: one sweep trains, then table, tests and figure are written beside its question.

    python experiments/study.py 02-leak DIR                    # DIR holds the images
    python experiments/study.py 02-leak DIR --collect          # from runs that are in the store
    python experiments/study.py 02-leak DIR dataset.image_size=[64,64]   # a setting of every job

Runs are identified by their settings: of several with the same ones the newest counts.
"""

import argparse
import csv
import itertools
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drawing import draw_leak, draw_recipes

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.comparison import build, selection, table
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.archive import Archive, StoredRun

HERE = Path(__file__).resolve().parent
SERIES = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")
LEAKS = (
    "leak/val_rows_with_train_source",
    "leak/val_rows_with_train_group",
    "leak/test_rows_with_train_group",
)


@dataclass(frozen=True)
class Study:
    """A question put as a sweep.

    Attributes:
        swept: Values of each swept key; a job is one of each.
        fixed: Overrides of every job.
        draw: Draws the comparison into a file and says in words what it shows.
    """

    swept: Mapping[str, Sequence[str]]
    fixed: Sequence[str]
    draw: Callable[[Comparison, Path], list[str]]

    def jobs(self) -> list[list[str]]:
        """Returns the overrides of each job."""
        choices = itertools.product(*self.swept.values())
        return [
            [*(f"{k}={v}" for k, v in zip(self.swept, values, strict=True)), *self.fixed]
            for values in choices
        ]

    def sweep(self) -> list[str]:
        """Returns the words after `melanoma-exp -m`."""
        return [*(f"{key}={','.join(values)}" for key, values in self.swept.items()), *self.fixed]


STUDIES = {
    "02-leak": Study(
        {"experiment": ("m1", "m3"), "split": ("published", "holdout"), "seed": ("1", "2", "3")},
        ("dataset=isic9", "train.precision=float32"),
        draw_leak,
    ),
    "03-m1-m2-m3": Study(
        {
            "experiment": ("m1", "m2", "m3"),
            "split.fold": ("0", "1", "2", "3", "4"),
            "seed": ("1", "2"),
        },
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
        {"experiment": ("m1", "m2", "m3"), "seed": ("1", "2", "3")},
        ("dataset=ham10000", "train.epochs=20", "train.precision=float32"),
        draw_recipes,
    ),
}


def main(words: list[str], folder: Path = HERE) -> None:
    """Trains unless asked not to, and writes the results.

    Args:
        words: Of the command line.
        folder: Holds a folder a study, each with a README.
    """
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="Further words go to every job, e.g. dataset.image_size=[64,64].",
    )
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("root", type=Path, metavar="DIR", help="the dataset's folder")
    parser.add_argument("--collect", action="store_true", help="train nothing")
    given, more = parser.parse_known_args(words)
    study = STUDIES[given.study]
    common = [f"dataset.root={given.root.resolve()}", *more]
    if not given.collect:
        command = [sys.executable, "-m", "melanoma_exp", "-m", *study.sweep(), *common]
        if code := subprocess.run(command).returncode:  # it has said why
            sys.exit(code)
    try:
        experiments = [composed([*job, *_of_a_job(common)]) for job in study.jobs()]
        archive = experiments[0].tracking.archive()
        runs = find(archive, [experiment.flat() for experiment in experiments])
        compared = build.build(
            archive, selection.Selection(given.study, tuple(runs), ()), True, "balanced_accuracy"
        )
    except UserError as error:
        sys.exit("\n".join(error.lines))
    place = folder / given.study
    write_runs(place / "results.csv", runs)
    write_epochs(place / "epochs.csv", archive, runs)
    lines = study.draw(compared, place / "figure.png")
    fill(place / "README.md", compared, lines)
    print(f"{len(runs)} runs: {place}")


def composed(overrides: list[str]) -> config.Experiment:
    """Returns the experiment of a job, as its run records it."""
    experiment = config.parse(compose.compose(conf_folder(), overrides))
    return experiment.model_copy(update={"model": experiment.model.settle(resumed=False)})


def find(archive: Archive, jobs: Sequence[Mapping[str, Any]]) -> list[StoredRun]:
    """Returns for each job the newest finished run with its settings.

    Raises:
        UserError: Some were not run, with their settings.
    """
    finished = [run for run in archive.search("") if run.status == "FINISHED"]
    found, missing = [], []
    for job in jobs:
        settings = {k: str(v) for k, v in job.items() if config.determines(k)}
        if settings["train.precision"] == "auto":  # a run holds what its machine made of it
            del settings["train.precision"]
        alike = [
            run
            for run in finished
            if "seed" in run.params
            and all(run.params.get(key, value) == value for key, value in settings.items())
        ]
        if alike:
            found.append(alike[-1])
        else:
            keys = ("model.name", "split.kind", "split.fold", "seed")
            missing.append(" ".join(f"{k}={settings[k]}" for k in keys if k in settings))
    if missing:
        raise UserError(*(f"not run: {line}" for line in missing))
    return found


def write_runs(path: Path, runs: Sequence[StoredRun]) -> None:
    """Writes a row a run: what it was, the last epoch, final figures, leaks, seconds."""
    keys = sorted({k for r in runs for k in r.metrics if k.startswith("final/")})
    keys = [*SERIES, *keys, *LEAKS, "train_images", "val_images", "test_images", "seconds/fit"]
    params = (
        "seed",
        "split.kind",
        "split.fold",
        "dataset.image_size",
        "train.epochs",
        "train.precision",
    )
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["experiment", *params, "leaky", "commit", *keys])
        for r in runs:
            commit = r.tags["git_commit"][:7] + "+" * (r.tags["git_dirty"] == "true")
            start = [r.tags["experiment"], *(r.params.get(key, "") for key in params)]
            figures = [f"{r.metrics[k]:.6g}" if k in r.metrics else "" for k in keys]
            writer.writerow([*start, r.tags["leaky"], commit, *figures])


def write_epochs(path: Path, archive: Archive, runs: Sequence[StoredRun]) -> None:
    """Writes a row an epoch of each run."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["run", "epoch", *SERIES])
        for run in runs:
            series = [dict(archive.series(run.id, key)) for key in SERIES]
            for step in series[0]:
                writer.writerow([run.name, step, *(f"{values[step]:.4f}" for values in series)])


def fill(readme: Path, compared: Comparison, lines: Sequence[str]) -> None:
    """Writes table, verdict and the figure's words between the README's two marks."""
    text = table.to_markdown(compared.rows, compared.best, compared.question.alert)
    said = [compared.verdict.headline, *compared.verdict.answers, *compared.verdict.caveats]
    block = "\n".join([text, *(f"- {line}" for line in [*lines, *said]), ""])
    readme.write_text(
        re.sub(
            r"(<!-- results -->\n).*(<!-- end of results -->)",
            lambda m: m[1] + block + m[2],
            readme.read_text(encoding="utf-8"),
            flags=re.S,
        ),
        encoding="utf-8",
    )


def _of_a_job(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.lstrip("+").startswith("hydra")]


if __name__ == "__main__":
    main(sys.argv[1:])

"""What a study writes beside its question: a row a run, a row an epoch, tables and verdicts."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from melanoma_exp.comparison import table
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.tracking.archive import Archive, StoredRun

SERIES = ("train/accuracy", "val/accuracy", "train/loss", "val/loss")
LEAKS = (
    "leak/val_rows_with_train_source",
    "leak/val_rows_with_train_group",
    "leak/test_rows_with_train_group",
)


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
            start = [r.tags.get("experiment", r.name), *(r.params.get(key, "") for key in params)]
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


def fill(
    readme: Path,
    compared: Sequence[Comparison],
    lines: Sequence[str],
    described: Sequence[str],
) -> None:
    """Writes tables, verdicts, the figure's words and more between the README's two marks."""
    written = []
    for one in compared:
        text = table.to_markdown(one.rows, one.best, one.question.alert)
        said = [one.verdict.headline, *one.verdict.answers, *one.verdict.caveats]
        first = lines if one is compared[0] else []
        written += [text, *(f"- {line}" for line in [*first, *said]), ""]
    block = "\n".join([*written, *described])
    readme.write_text(
        re.sub(
            r"(<!-- results -->\n).*(<!-- end of results -->)",
            lambda m: m[1] + block + m[2],
            readme.read_text(encoding="utf-8"),
            flags=re.S,
        ),
        encoding="utf-8",
    )

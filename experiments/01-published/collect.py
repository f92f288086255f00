"""Puts the runs of the published experiments beside the published figures.

    python experiments/01-published/collect.py mlruns/mlflow.db [more stores]

Reads runs tagged `experiment=published/...` and writes `results.csv` (a row a run), `curves.csv` (a
row an epoch), the README's table, `curves_<system>.png`, and the lines `ours` and `time` of the
experiments' headers. Runs that stand in those files already stay, whatever became of their store. A
run that was stopped on its way counts as far as it came, and says how far; `melanoma-exp resume`
continues it. Of several runs with the same settings and seed a finished one counts, then the
longest, then the newest.
"""

import argparse
import csv
import re
import sys
from pathlib import Path
from typing import Any

import mlflow
from curves import SERIES, draw, read_curves, write_curves
from tables import LAST, alike, fill_header, table

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.system.installation import conf_folder

HERE = Path(__file__).resolve().parent
LEAK = "leak/val_rows_with_train_source", "leak/val_rows_with_train_group"
COLUMNS = {
    "train_accuracy": "train/accuracy",
    "val_accuracy": "val/accuracy",
    "train_loss": "train/loss",
    "val_loss": "val/loss",
    "test_accuracy": "final/test/accuracy",
    "leak_source": LEAK[0],
    "leak_group": LEAK[1],
    "leak_test_group": "leak/test_rows_with_train_group",
    "seconds": "seconds/fit",
    "parameters": "parameters",
}
FIGURES = {*COLUMNS, "val_accuracy_low", "val_accuracy_high"}
COUNTS = {"seed", "files", "epochs", "epochs_asked", "epochs_published"}
Result = dict[str, Any]


def main(arguments: list[str], folder: Path = HERE, conf: Path | None = None) -> None:
    """Writes everything.

    Args:
        arguments: Paths of SQLite stores.
        folder: Holds `published.csv` and the README; gets the results.
        conf: The folder of YAMLs whose headers are filled in.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stores", metavar="DB", type=Path, nargs="+", help="an mlflow.db")
    stores = parser.parse_args(arguments).stores
    for store in stores:
        if not store.is_file():  # MLflow would make an empty one
            sys.exit(f"{store}: there is no such store")
    conf = conf or conf_folder()
    with (folder / "published.csv").open(newline="") as file:
        published = {f"published/{r['system']}_{r['stage']}": r for r in csv.DictReader(file)}
    found = [r for store in stores for r in read(store, set(published), conf)]
    results = newest([*kept(folder), *found])
    write_csv(folder / "results.csv", results, published)
    write_curves(folder / "curves.csv", results)
    readme = folder / "README.md"
    text = re.sub(
        r"(<!-- table -->\n).*(<!-- end of table -->)",
        lambda m: m[1] + table(results, published) + m[2],
        readme.read_text(),
        flags=re.S,
    )
    readme.write_text(text)
    for name, group in alike(results).items():
        fill_header(conf / "experiment" / f"{name[0]}.yaml", group)
    for system in {row["system"]: 0 for row in published.values()}:
        mine = {n: r for n, r in published.items() if r["system"] == system}
        draw(folder / f"curves_{system}.png", system, mine, results)
    print(f"{len(results)} runs of {len({r['experiment'] for r in results})} experiments")


def read(store: Path, wanted: set[str], conf: Path) -> list[Result]:
    """Returns the runs of the wanted experiments that have finished or were stopped, oldest first.

    One that failed or did not end its first epoch is none.
    """
    client = mlflow.MlflowClient(f"sqlite:///{store.absolute()}")
    places = [e.experiment_id for e in client.search_experiments()]
    found, token = [], None
    while True:
        page = client.search_runs(places, page_token=token)
        found += [
            run
            for run in page
            if run.data.tags.get("experiment") in wanted
            and run.info.status in ("FINISHED", "KILLED")
            and "train/loss" in run.data.metrics
        ]
        token = page.token
        if not token:
            break
    return [_result(client, run, conf) for run in sorted(found, key=lambda r: r.info.start_time)]


def _result(client: Any, run: Any, conf: Path) -> Result:
    name, metrics, tags = run.data.tags["experiment"], run.data.metrics, run.data.tags
    asked = config.parse(compose.compose(conf, [f"experiment={name}"])).flat()
    changed = [
        f"{key}={value}"
        for key, value in run.data.params.items()
        if key in asked and str(asked[key]) != value and key != "seed" and config.determines(key)
    ]
    steps = {s: client.get_metric_history(run.info.run_id, s) for s in SERIES}
    curves = {
        s: [(m.step, m.value) for m in sorted(h, key=lambda m: m.step)] for s, h in steps.items()
    }
    metrics.setdefault(
        "seconds/fit",
        sum(m.value for m in client.get_metric_history(run.info.run_id, "seconds")),
    )
    return {
        "experiment": name,
        "run": run.info.run_id,
        "seed": int(run.data.params["seed"]),
        "commit": tags["git_commit"][:7] + "+" * (tags["git_dirty"] == "true"),
        "leaky": tags["leaky"],
        "changed": "; ".join(sorted(changed)),
        "files": int(metrics["train_images"] + metrics["val_images"]),
        "task": run.data.params["dataset.task"],
        "cores": tags["machine.cores"],
        "epochs": len(curves["train/loss"]),
        "epochs_asked": int(run.data.params["train.epochs"]),
        "epochs_published": asked["train.epochs"],
        "finished": run.info.status == "FINISHED",
        **{column: metrics.get(metric) for column, metric in COLUMNS.items()},
        "val_accuracy_low": min(v for _, v in curves["val/accuracy"][-LAST:]),
        "val_accuracy_high": max(v for _, v in curves["val/accuracy"][-LAST:]),
        "curves": curves,
    }


def kept(folder: Path) -> list[Result]:
    """Returns the runs that were collected before; those of an older time have no curves."""
    path = folder / "results.csv"
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    curves = read_curves(folder / "curves.csv")
    return [
        {key: _value(key, text) for key, text in row.items() if not key.startswith("published_")}
        | {"curves": curves.get(row["run"], {})}
        for row in rows
    ]


def _value(key: str, text: str) -> Any:
    if key in FIGURES:
        return float(text) if text else None
    if key in COUNTS:
        return int(text)
    return text == "True" if key == "finished" else text


def newest(results: list[Result]) -> list[Result]:
    """Returns one of the runs of an experiment alike in settings, files and seed.

    A finished one, then the longest, then the last; they are given oldest first.
    """
    results = sorted(results, key=lambda r: (r["finished"], r["epochs"]))  # stable
    last = {(r["experiment"], r["changed"], r["files"], r["seed"]): r for r in results}
    return [last[key] for key in sorted(last)]


def write_csv(path: Path, results: list[Result], published: dict[str, Any]) -> None:
    """Writes a row a run, the published figures beside ours."""
    theirs = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
    with path.open("w", newline="", encoding="utf-8") as file:
        own = [key for key in (results[0] if results else {}) if key != "curves"]
        writer = csv.DictWriter(
            file,
            [*own, *(f"published_{key}" for key in theirs)],
            lineterminator="\n",
            extrasaction="ignore",
        )
        writer.writeheader()
        for r in results:
            known = {f"published_{key}": published[r["experiment"]][key] for key in theirs}
            figures = {k: f"{v:.6g}" for k, v in r.items() if isinstance(v, float)}
            figures["parameters"] = int(r["parameters"])
            writer.writerow({**r, **figures, **known})


if __name__ == "__main__":
    main(sys.argv[1:])

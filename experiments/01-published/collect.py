"""Puts the runs of the published experiments beside the published figures.

    python experiments/01-published/collect.py mlruns/mlflow.db [more stores]

Reads runs tagged `experiment=published/...` and writes `results.csv` (a row a run), `curves.csv` (a
row an epoch), the README's table, `curves_<system>.png`, and the lines `ours` and `time` of the
experiments' headers. Runs that stand in those files already stay, whatever became of their store. A
run that was stopped on its way counts as far as it came, and says how far; `melanoma-exp resume`
goes on with it. Of several runs with the same settings and seed a finished one counts, then the
longest, then the newest.
"""

import argparse
import csv
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlflow
from curves import SERIES, draw, read_curves, write_curves

from melanoma_exp import cli, composition, config

HERE = Path(__file__).resolve().parent
LEAK = "leak/val_rows_with_train_source", "leak/val_rows_with_train_group"
COLUMNS = {
    "train_accuracy": "train/accuracy", "val_accuracy": "val/accuracy",
    "train_loss": "train/loss", "val_loss": "val/loss", "test_accuracy": "final/test/accuracy",
    "leak_source": LEAK[0], "leak_group": LEAK[1],
    "leak_test_group": "leak/test_rows_with_train_group", "seconds": "seconds/fit",
    "parameters": "parameters",
}  # fmt: skip
FIGURES = {*COLUMNS, "val_accuracy_low", "val_accuracy_high"}
COUNTS = {"seed", "files", "epochs", "epochs_asked", "epochs_published"}
LAST = 6  # epochs, over which a last one is seen to swing
HEADS = ("experiment", "published train / val accuracy", "our train / val accuracy",
         f"val, last {LAST} epochs", "published train / val loss", "our train / val loss",
         "test accuracy", "leak", "files", "epochs", "seeds", "minutes", "settings")  # fmt: skip
PARTS = ("train", "val")
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
    conf = conf or cli.conf_folder()
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
    asked = config.parse(composition.compose(conf, [f"experiment={name}"])).flat()
    changed = [
        f"{key}={value}"
        for key, value in run.data.params.items()
        if key in asked and str(asked[key]) != value and key != "seed" and config.determines(key)
    ]
    steps = {s: client.get_metric_history(run.info.run_id, s) for s in SERIES}
    curves = {s: [(m.step, m.value) for m in sorted(h, key=lambda m: m.step)]
              for s, h in steps.items()}  # fmt: skip
    metrics.setdefault(
        "seconds/fit",
        sum(m.value for m in client.get_metric_history(run.info.run_id, "seconds")),
    )
    return {
        "experiment": name, "run": run.info.run_id, "seed": int(run.data.params["seed"]),
        "commit": tags["git_commit"][:7] + "+" * (tags["git_dirty"] == "true"),
        "leaky": tags["leaky"], "changed": "; ".join(sorted(changed)),
        "files": int(metrics["train_images"] + metrics["val_images"]),
        "task": run.data.params["dataset.task"], "cores": tags["machine.cores"],
        "epochs": len(curves["train/loss"]), "epochs_asked": int(run.data.params["train.epochs"]),
        "epochs_published": asked["train.epochs"], "finished": run.info.status == "FINISHED",
        **{column: metrics.get(metric) for column, metric in COLUMNS.items()},
        "val_accuracy_low": min(v for _, v in curves["val/accuracy"][-LAST:]),
        "val_accuracy_high": max(v for _, v in curves["val/accuracy"][-LAST:]),
        "curves": curves,
    }  # fmt: skip


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


def alike(results: list[Result]) -> dict[tuple[str, str, int], list[Result]]:
    """Returns the runs by experiment, changed settings and number of files.

    Of an experiment the fewest files are last (the public set has two fewer than the copy with two
    doubled files), among those what was run with unchanged settings.
    """
    groups: dict[tuple[str, str, int], list[Result]] = {}
    for r in sorted(results, key=lambda r: (r["experiment"], -r["files"], not r["changed"])):
        groups.setdefault((r["experiment"], r["changed"], r["files"]), []).append(r)
    return groups


def write_csv(path: Path, results: list[Result], published: dict[str, Any]) -> None:
    """Writes a row a run, the published figures beside ours."""
    theirs = ("train_accuracy", "val_accuracy", "train_loss", "val_loss")
    with path.open("w", newline="", encoding="utf-8") as file:
        own = [key for key in (results[0] if results else {}) if key != "curves"]
        writer = csv.DictWriter(
            file, [*own, *(f"published_{key}" for key in theirs)], lineterminator="\n",
            extrasaction="ignore",
        )  # fmt: skip
        writer.writeheader()
        for r in results:
            known = {f"published_{key}": published[r["experiment"]][key] for key in theirs}
            figures = {k: f"{v:.6g}" for k, v in r.items() if isinstance(v, float)}
            figures["parameters"] = int(r["parameters"])
            writer.writerow({**r, **figures, **known})


def spread(group: list[Result], column: str, show: Callable[[float], str]) -> str:
    """Returns the figure of one run, or mean (lowest to highest) of several."""
    values = [r[column] for r in group if r[column] is not None]
    if not values:
        return "-"
    mean, low, high = map(show, (sum(values) / len(values), min(values), max(values)))
    return mean if low == high else f"{mean} ({low} to {high})"


def short(value: float) -> str:
    """Returns three decimals without a leading zero."""
    return re.sub(r"^(-?)0\.", r"\1.", f"{value:.3f}")


def table(results: list[Result], published: dict[str, Any]) -> str:
    """Returns the Markdown table, a row for each experiment and settings it was run with."""
    groups = alike(results)
    lines = ["| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    for name, row in published.items():
        theirs = [
            " / ".join(row[f"{part}_{figure}"].replace("0.", ".", 1) or "-" for part in PARTS)
            for figure in ("accuracy", "loss")
        ]
        mine = [groups[key] for key in groups if key[0] == name] or [[]]
        for group in reversed(mine):
            cells = [name.removeprefix("published/"), theirs[0], "not yet run", "", theirs[1]]
            if group:
                cells[2] = _pair(group, "accuracy")
                low = min(r["val_accuracy_low"] for r in group)
                cells[3] = f"{short(low)} to {short(max(r['val_accuracy_high'] for r in group))}"
                cells += [_pair(group, "loss"), spread(group, "test_accuracy", short)]
                leaks = [spread(group, f"leak_{key}", short) for key in ("source", "group")]
                cells += [" / ".join(leaks) + " leaky" * (group[0]["leaky"] == "true")]
                stopped = "" if all(r["finished"] for r in group) else " of {epochs_asked}"
                epochs = spread(group, "epochs", "{:.0f}".format) + stopped.format(**group[0])
                cells += [f"{group[0]['files']:,}", epochs, str(len(group))]
                cells += [spread(group, "seconds", lambda s: f"{s / 60:.0f}")]
                task = "" if group[0]["task"] == "classes" else f"; task {group[0]['task']}"
                cells += [(group[0]["changed"] or "as published") + task]
            lines.append("| " + " | ".join(cells + [""] * (len(HEADS) - len(cells))) + " |")
    return "\n".join(lines) + "\n"


def _pair(group: list[Result], figure: str) -> str:
    return " / ".join(spread(group, f"{part}_{figure}", short) for part in PARTS)


def fill_header(path: Path, group: list[Result]) -> None:
    """Writes our figures into an experiment's header."""
    figures = ", ".join(
        f"{part} {figure} {spread(group, f'{part}_{figure}', '{:.3f}'.format)}"
        for figure in ("accuracy", "loss")
        for part in PARTS
    )
    runs = "1 run" if len(group) == 1 else f"{len(group)} seeds"
    changed = f", {group[0]['files']:,} files"
    changed += f", {group[0]['changed']}" if group[0]["changed"] else ""
    if not all(r["finished"] for r in group):
        changed += f", stopped after epoch {max(r['epochs'] for r in group)}"
    time = f"{spread(group, 'seconds', '{:.0f}'.format)} s of training, {group[0]['cores']} cores"
    text = path.read_text()
    text = re.sub(r"(?m)^# ours: .*$", f"# ours: {figures} ({runs}{changed})", text)
    path.write_text(re.sub(r"(?m)^# time: .*$", f"# time: {time}", text))


if __name__ == "__main__":
    main(sys.argv[1:])

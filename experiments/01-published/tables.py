"""The runs of the published experiments in words: the README's table, the experiments' headers."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

LAST = 6  # epochs, over which a last one is seen to swing
HEADS = (
    "experiment",
    "published train / val accuracy",
    "our train / val accuracy",
    f"val, last {LAST} epochs",
    "published train / val loss",
    "our train / val loss",
    "test accuracy",
    "leak",
    "files",
    "epochs",
    "seeds",
    "minutes",
    "settings",
)
PARTS = ("train", "val")
Result = dict[str, Any]


def alike(results: list[Result]) -> dict[tuple[str, str, int], list[Result]]:
    """Returns the runs by experiment, changed settings and number of files.

    Of an experiment the fewest files are last (the public set has two fewer than the copy with two
    doubled files), among those what was run with unchanged settings.
    """
    groups: dict[tuple[str, str, int], list[Result]] = {}
    for r in sorted(results, key=lambda r: (r["experiment"], -r["files"], not r["changed"])):
        groups.setdefault((r["experiment"], r["changed"], r["files"]), []).append(r)
    return groups


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

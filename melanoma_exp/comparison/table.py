"""The table of rows: its metrics, and its CSV and Markdown forms."""

import io
import math
from collections.abc import Collection, Sequence

from melanoma_exp.comparison.predictions import OWN
from melanoma_exp.comparison.rows import Mean, Row
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system.shown import TableWriter

SECONDS = "seconds/fit"


def metrics(alert: str, by: str = "") -> dict[str, str]:
    """Returns the metrics of a part and their headings.

    Args:
        alert: The alerted class.
        by: The metric that orders the rows; it has a column in any case.
    """
    found = {
        "balanced_accuracy": "balanced accuracy",
        "accuracy": "accuracy",
        "macro_auc": "macro AUC",
        f"{alert}_sensitivity": f"{alert} sensitivity",
        f"{alert}_specificity": f"{alert} specificity",
    }
    return found if by in ("", "seconds") else {**found, by: found.get(by, by.replace("_", " "))}


def ordering(
    given: str, alert: str, recorded: Collection[str], parts: Sequence[str] = OWN
) -> tuple[str, str, str]:
    """Returns the part, the metric and the logged key that `--by` names; the first by default.

    Args:
        given: As the user wrote it.
        alert: The alerted class.
        recorded: Metrics that every run has.
        parts: That may be asked for.

    Raises:
        UserError: There is no such metric; lists those there are.
    """
    name = given.removeprefix("final/")
    if name in ("seconds", SECONDS):
        return parts[0], "seconds", SECONDS
    part, _, metric = name.rpartition("/")
    known = metrics(alert)
    is_recorded = f"final/{part or parts[0]}/{metric}" in recorded
    is_interval = metric.endswith(("_low", "_high"))
    where = "; of validation, or with test/ before it" * (parts == OWN)
    if part not in ("", *parts) or metric not in known and (is_interval or not is_recorded):
        raise UserError(
            f"--by {given}: expected one of {', '.join(known)}, seconds or another recorded "
            f"metric{where}{did_you_mean(metric, known)}"
        )
    part = part or parts[0]
    return part, metric, f"final/{part}/{metric}"


def shown(mean: Mean, digits: int = 3) -> str:
    """Returns `0.425 ±0.031`, without an interval `0.425`, without a value `–`."""
    if math.isnan(mean.value):
        return "–"
    value = f"{mean.value:,.{digits}f}"
    return value if math.isnan(mean.half) else f"{value} ±{mean.half:,.{digits}f}"


def mark(row: Row, best: Row | None) -> str:
    """Returns the mark of a row: best, leaky, or nothing."""
    if row.leaky:
        return "leaky"
    return "best" if best is not None and row.letter == best.letter else ""


def to_csv(
    rows: Sequence[Row], best: Row | None, alert: str, by: str = "", parts: Sequence[str] = OWN
) -> str:
    """Returns the table as CSV, a row a setup; values in full, NaN empty."""
    text = io.StringIO()
    writer = TableWriter(text)
    keys = [f"final/{part}/{metric}" for part in parts for metric in metrics(alert, by)]
    heads = ["row", "name", "mark", "runs", "seeds", "folds"]
    for key in (*keys, SECONDS):
        short = key.removeprefix("final/")
        heads += [short, f"{short} half interval"]
    writer.writerow([*heads, "run ids"])
    for row in rows:
        means = [row.mean(key) for key in (*keys, SECONDS)]
        values = [_number(v) for mean in means for v in (mean.value, mean.half)]
        ids = " ".join(run.stored.id for run in row.runs)
        start = [row.letter, row.label, mark(row, best), len(row.runs), row.seeds, row.folds]
        writer.writerow([*start, *values, ids])
    return text.getvalue()


def to_markdown(
    rows: Sequence[Row], best: Row | None, alert: str, by: str = "", parts: Sequence[str] = OWN
) -> str:
    """Returns the table as Markdown, ± half a 95 % t interval over runs."""
    names = metrics(alert, by)
    heads = ["row", "name", "runs"]
    heads += [f"{part} {name}" for part in parts for name in names.values()]
    lines = [[*heads, "training s"], ["---", "---", *["---:"] * (len(heads) - 1)]]
    for row in rows:
        marked = mark(row, best)
        name = row.label.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
        cells = [row.letter, f"{name} **{marked}**" if marked else name, str(len(row.runs))]
        for part in parts:
            cells += [shown(row.mean(f"final/{part}/{metric}")) for metric in names]
        lines.append([*cells, shown(row.mean(SECONDS), 0)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _number(value: float) -> str:
    return "" if math.isnan(value) else repr(round(value, 6))

"""Reads the runs, groups them in rows, tests them and concludes."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from melanoma_exp.comparison import best, caveats, pairing, predictions, selection, table, verdict
from melanoma_exp.comparison.rows import Row, alerted, group
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive, StoredRun


@dataclass(frozen=True)
class Comparison:
    """All that is shown.

    Attributes:
        title: What was selected.
        classes: Of every run.
        rows: In order, leaky ones last.
        best: The row that is marked; None where none qualifies.
        tested: For each part that has images, validation first.
        question: Which metric orders the rows.
        verdict: In words.
        left_out: A line for each run that does not count.
        parts: That the table shows: the runs' own, or the one they were judged on.
    """

    title: str
    classes: tuple[str, ...]
    rows: Sequence[Row]
    best: Row | None
    tested: Sequence[pairing.Tested]
    question: caveats.Question
    verdict: verdict.Verdict
    left_out: Sequence[str]
    parts: Sequence[str] = predictions.OWN


def build(
    archive: Archive,
    chosen: selection.Selection,
    named: bool,
    by: str,
    higher_is_better: bool | None = None,
    reference: str | None = None,
    on: str | None = None,
) -> Comparison:
    """Compares the selected runs.

    Args:
        archive: Where they are recorded.
        chosen: Which.
        named: Whether the user named each; then one without predictions is an error, else it is
            left out with a message.
        by: The metric that orders the rows, as the user wrote it.
        higher_is_better: Its direction; None knows that of every built-in metric by its name.
        reference: The id of a run in the row that all others are tested against; None tests all
            pairs.
        on: Compares what the runs' evaluations on another set found: its kind or digest.

    Raises:
        UserError: The runs have different classes, predictions are missing, or `by` or the
            reference is unknown.
    """
    read: dict[str, predictions.Evaluated] = {}
    judged = selection.judged_on(archive, chosen.runs, on) if on else {}

    def problem(run: StoredRun) -> str:
        if on and run.id not in judged:
            return f"was not judged on {on}; melanoma-exp evaluate {run.id} dataset=... does that"
        try:
            read[run.id] = (
                predictions.read_judged(archive, run, judged[run.id])
                if on
                else predictions.read(archive, run)
            )
        except UserError as error:
            message = error.lines[0]
            return message.removeprefix(f"run {run.id}: ").removeprefix(f"run {run.id} ")
        return ""

    kept = selection.keep(chosen, problem, named)
    runs = [read[run.id] for run in kept.runs]
    _same(runs, "classes", [run.classes for run in runs])
    _same(runs, "alerted classes (dataset.melanoma)", [alerted(run)[1] for run in runs])
    alert, positive_names = alerted(runs[0])
    recorded = set.intersection(*(set(run.stored.metrics) for run in runs))
    own = ("external",) if on else predictions.OWN
    part, name, metric = table.ordering(by, alert, recorded, own)
    question = caveats.Question(part, name, alert)
    fewer = predictions.common(runs, "external") if on else runs
    found, repeats = group(fewer, metric, higher_is_better)
    positive = [k for k, name in enumerate(runs[0].classes) if name in positive_names]
    parts = [p for p in predictions.PARTS if any(p in run.parts for run in runs)]
    against = _row_of(reference, found) if reference else None
    tested = [pairing.compare_pairs(found, p, positive, against) for p in parts]
    winner, no_best = best.find(found, question, metric)
    return Comparison(
        chosen.title,
        runs[0].classes,
        found,
        winner,
        tested,
        question,
        verdict.decide(found, tested, question, winner, against, no_best),
        (*kept.left_out, *repeats, *(_fewer(runs, fewer) if on else ())),
        own,
    )


def _fewer(
    before: Sequence[predictions.Evaluated], after: Sequence[predictions.Evaluated]
) -> list[str]:
    """Says that tests are of fewer images than the metrics, where runs were judged on others."""
    counts = [len(run.parts["external"].ids) for run in before]
    left = len(after[0].parts["external"].ids)
    if counts == [left] * len(counts):
        return []
    some = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    return [
        f"Images that some run has learned from: the tests are of the {left} that all of them are "
        f"judged on, the table's metrics of the {some} of each run"
    ]


def _row_of(run_id: str, found: Sequence[Row]) -> Row:
    """Returns the honest row that a run is in.

    Raises:
        UserError: There is none.
    """
    row = next((r for r in found if run_id in (run.stored.id for run in r.runs)), None)
    if row is None:
        raise UserError(f"--reference {run_id}: is not among the compared runs")
    if row.leaky:
        raise UserError(f"--reference {run_id}: is leaky, and nothing is tested against such a run")
    return row


def _same(
    runs: Sequence[predictions.Evaluated], what: str, values: Sequence[tuple[str, ...]]
) -> None:
    """Refuses runs that cannot be in one table."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for run, value in zip(runs, values, strict=True):
        found[value].append(run.stored.name)
    if len(found) == 1:
        return
    groups = "; ".join(
        f"{len(names)} runs ({names[0]}{', …' * (len(names) > 1)}) have "
        f"{', '.join(value[:4])}{' …' * (len(value) > 4)} ({len(value)})"
        for value, names in found.items()
    )
    raise UserError(f"the runs have different {what} and are not compared: {groups}")

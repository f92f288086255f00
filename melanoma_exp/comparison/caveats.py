"""Reasons to doubt a comparison: leaks, too few runs, too few images, selection on the test set."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.comparison.pairing import Tested
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.comparison.rows import Row

FEW_RUNS = 5
OPTIMISTIC = 3  # from so many rows on the metrics of the best are called optimistic


@dataclass(frozen=True)
class Question:
    """The metric that orders the table, the part it is of, and the alerted class.

    `metric` has no part, e.g. `balanced_accuracy`.
    """

    part: str
    metric: str
    alert: str

    @property
    def tested_metric(self) -> str:
        """The tested metric that is closest to the one that orders."""
        name = self.metric.removeprefix(f"{self.alert}_")
        return name if name in ("accuracy", "sensitivity", "specificity") else "balanced_accuracy"

    def title(self, metric: str) -> str:
        """Returns the words for a tested metric."""
        return {
            "balanced_accuracy": "balanced accuracy",
            "accuracy": "accuracy",
            "sensitivity": f"{self.alert} sensitivity",
            "specificity": f"{self.alert} specificity",
            "mcnemar": "accuracy, McNemar",
            "folds": "balanced accuracy over folds",
        }[metric]


def find(rows: Sequence[Row], tested: Sequence[Tested], question: Question) -> list[str]:
    """Returns what a reader should know before relying on the verdict, most serious first.

    Args:
        rows: In the table's order.
        tested: For each part.
        question: Which metric orders the rows.
    """
    lines = [_leak(row) for row in rows if row.leaky]
    honest = [row for row in rows if not row.leaky]
    once = [row.letter for row in honest if len(row.runs) == 1]
    few = [row.letter for row in honest if 1 < row.seeds < FEW_RUNS]
    lines += _same_but_for_name(rows)
    if once:
        lines.append(
            f"Trained once: {_listed(once)}. The intervals cover the sampling of images, not "
            "training noise; another seed may reverse the order. Repeat with seed=1,2,3,4,5."
        )
    if few:
        lines.append(
            f"Few seeds: {_listed(few)}. With fewer than {FEW_RUNS} the estimate of training noise "
            "is rough, and only large differences are significant."
        )
    if any(row.folds > 1 for row in honest):
        lines.append(
            "Folds share training images, so they are not independent: the ± of a row over folds "
            "is too narrow. The test over folds corrects for it."
        )
    for t in tested:
        lines += _size(t, question)
    if question.part == "test":
        lines.append(
            "The rows are ordered by a test metric. Choosing by it means selecting on the test "
            "set: the test metrics of the chosen row are optimistic."
        )
    elif question.part == "val" and len(honest) >= OPTIMISTIC:
        lines.append(
            f"The best of {len(honest)} rows was selected on validation: its validation metrics "
            "are optimistic, its test metrics are not."
        )
    if stoppers := [r.letter for r in honest if _validation_chose(r)]:
        lines.append(
            f"Validation also chose the epoch or the learning rate of {_listed(stoppers)}."
        )
    if chosen := [
        r.letter for r in honest if r.settings.get("inference.prior_correction") == "validation"
    ]:
        lines.append(
            f"Validation chose the prior correction of {_listed(chosen)}: its validation metrics "
            "of predicted classes are optimistic, those of test are not."
        )
    if mixed := _mixed_probabilities(rows, question):
        lines.append(mixed)
    for name, tag, width in (("code", "git_commit", 8), ("machines", "machine.cpu", 60)):
        found = {run.stored.tags.get(tag, "")[:width] for row in rows for run in row.runs}
        if len(found) > 1:
            lines.append(f"The runs come from different {name}: {', '.join(sorted(found))}.")
    return lines


def _leak(row: Row) -> str:
    shares = {
        "of its validation images came from an image in training": "val_rows_with_train_source",
        "of its validation images share a lesion with training": "val_rows_with_train_group",
        "of its test images share a lesion with training": "test_rows_with_train_group",
    }
    found = [
        f"{100 * value:.0f} % {words}"
        for words, key in shares.items()
        if (value := row.mean(f"leak/{key}").value) > 0
    ]
    return f"Leaky: {row.name}: {'; '.join(found) or 'tagged as leaky'}. Shown, never ranked."


def _same_but_for_name(rows: Sequence[Row]) -> list[str]:
    """Returns a line for each set of rows that only the name of their network tells apart."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for row in rows:
        rest = {key: value for key, value in row.settings.items() if key != "model.name"}
        found.setdefault(tuple(sorted(rest.items())), []).append(row.letter)
    return [
        f"{_listed(letters)} differ in name only: one network, trained more than once, whose rows "
        "differ by training noise. experiment=m1,m2,m3 changes what the published stages see."
        for letters in found.values()
        if len(letters) > 1
    ]


def _mixed_probabilities(rows: Sequence[Row], question: Question) -> str:
    """Says that a metric which is read off an alert's curve is of two probabilities."""
    of_curve = ("auc", "average_precision", "partial_auc", "specificity", "sensitivity")
    name = question.metric.removeprefix(f"{question.alert}_")
    is_read_off = name in of_curve[:3] or "_at_" in name and name.startswith(of_curve[3:])
    key = f"final/{question.part}/{question.alert}_auc_calibrated"
    plain = {key in run.stored.metrics for row in rows for run in row.runs}
    if not is_read_off or len(plain) < 2:
        return ""
    return (
        f"{question.metric} is of the plain probability in some runs, and of the calibrated one "
        "in those recorded before version 0.2.0: the two are not comparable."
    )


def _size(tested: Tested, question: Question) -> list[str]:
    if not tested.pairs:
        return []
    answers = tested.rows[0][1]
    counts = np.bincount(answers.label, minlength=answers.probability.shape[2])
    present = counts[counts > 0]
    widths = [
        max((o.high - o.low) / 2 for o in found)
        for pair in tested.pairs
        if (
            found := [
                pair.outcomes[f] for f in ("balanced_accuracy", "folds") if f in pair.outcomes
            ]
        )
    ]
    line = (
        f"{PARTS[tested.part].capitalize()} has {len(answers.label)} images of "
        f"{len(np.unique(answers.group))} groups, {present.min()} in its smallest class"
    )
    if widths and np.median(widths) > 0:
        line += f"; a difference below about {np.median(widths):.2f} in balanced accuracy is too "
        line += "small to detect here"
    return [f"{line}."]


def _validation_chose(row: Row) -> bool:
    settings = row.settings
    return (
        settings.get("train.keep", "last") != "last"
        or settings.get("train.schedule") == "plateau"
        or settings.get("train.early_stopping.patience", "None") != "None"
    )


def _listed(letters: Sequence[str]) -> str:
    some = ", ".join(letters[:12])
    return some if len(letters) <= 12 else f"{some} and {len(letters) - 12} more"

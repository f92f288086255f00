"""What the tests allow to say, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.comparison.pairing import Outcome, Pair, Tested, told_p
from melanoma_exp.comparison.reading import PARTS
from melanoma_exp.comparison.rows import Row

FEW_RUNS = 5
OPTIMISTIC = 3  # rows from which on the best one's own figure is told to be optimistic


@dataclass(frozen=True)
class Verdict:
    """One sentence or two, what else was asked, and what speaks against believing it."""

    headline: str
    answers: Sequence[str]
    cautions: Sequence[str]


@dataclass(frozen=True)
class Question:
    """What is asked: the figure that orders the table, the part, the alerted class.

    `metric` is the figure without its part, e.g. `balanced_accuracy`.
    """

    part: str
    metric: str
    alert: str

    @property
    def figure(self) -> str:
        """The tested figure that comes nearest to the one that orders."""
        name = self.metric.removeprefix(f"{self.alert}_")
        return name if name in ("accuracy", "sensitivity", "specificity") else "balanced_accuracy"

    def words(self, figure: str) -> str:
        """Returns a figure's name."""
        return {
            "balanced_accuracy": "balanced accuracy",
            "accuracy": "accuracy",
            "sensitivity": f"{self.alert} sensitivity",
            "specificity": f"{self.alert} specificity",
            "mcnemar": "accuracy, McNemar",
            "folds": "balanced accuracy over folds",
        }[figure]


def decide(
    rows: Sequence[Row], tested: Sequence[Tested], question: Question, best: Row | None
) -> Verdict:
    """Says which row is better, by how much, and why one should doubt it.

    Args:
        rows: In the table's order.
        tested: Of each part, validation first.
        question: What is asked.
        best: The row that is marked; None where none may be.
    """
    cautions = _cautions(rows, tested, question)
    honest = [row for row in rows if not row.leaky]
    if len(rows) == 1:
        return Verdict("All runs repeat one setup: there is nothing to compare.", [], cautions)
    if len(honest) < 2:
        who = f"Only {honest[0].name} is not leaky" if honest else "Every row is leaky"
        return Verdict(f"{who}: nothing here can say which is better.", [], cautions)
    if best is None:
        headline = (
            f"Nothing here can say which is better: the rows have different {PARTS[question.part]} "
            "images, so their figures measure different things."
        )
        return Verdict(headline, [], cautions)
    second = honest[1]
    pair = next((t.pair(best, second) for t in tested if t.part == question.part), None)
    if pair is None:
        headline = f"{best.name} stands first; no test could be made against {second.name}."
    else:
        headline = _headline(pair, tested, question)
    return Verdict(headline, _answers(tested, question, best), cautions)


def told(outcome: Outcome, pair: Pair, pairs: int) -> str:
    """Returns one outcome in words, to follow the figure and the part.

    Args:
        outcome: Of the pair.
        pair: The two rows.
        pairs: How many pairs the p-value was adjusted for.
    """
    a, b = pair.first.letter, pair.second.letter
    holm = f" after Holm over {pairs} pairs" if pairs > 1 else ""
    if outcome.shown:
        sign = 1 if outcome.estimate > 0 else -1
        facts = [_interval(outcome, sign), told_p(outcome.adjusted)]
        first, second = (a, b) if sign > 0 else (b, a)
        return (
            f"{first} is ahead of {second} by {abs(outcome.estimate):.3f} "
            f"({', '.join(filter(None, facts))}{holm})"
        )
    start = f"no difference can be shown between {a} and {b}"
    if not outcome.estimate and outcome.low == outcome.high == 0:
        return f"{start}: it is zero in every resample"
    facts = [f"{a} − {b} = {signed(outcome.estimate)}", _interval(outcome, 1), told_p(outcome.adjusted)]
    return f"{start} ({', '.join(filter(None, facts))}{holm})"


def signed(value: float, digits: int = 3) -> str:
    """Returns a difference with its sign, a true minus sign included."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _headline(pair: Pair, tested: Sequence[Tested], question: Question) -> str:
    of_part = {t.part: t for t in tested}
    figures = [question.figure, *(["folds"] if question.figure == "balanced_accuracy" else [])]
    outcomes = [pair.outcomes[f] for f in figures if f in pair.outcomes]
    words, part = question.words(question.figure), PARTS[question.part]
    names = f"({pair.first.name}; {pair.second.name})"
    if not outcomes:
        return f"{pair.first.name} stands first; {words} cannot be tested on {part}."
    # Over folds both tests must agree: the bootstrap knows nothing of shared training images.
    main = next((o for o in outcomes if not o.shown), outcomes[0])
    where = f"In {question.words(main.figure)} on {part}"
    sentence = f"{where}, {told(main, pair, len(of_part[question.part].pairs))}"
    test = of_part.get("test")
    if question.part == "test" or test is None:
        return f"{sentence}. {names}"
    other = test.pair(pair.first, pair.second)
    if other is None or question.figure not in other.outcomes:
        return f"{sentence}. The test images could not be asked. {names}"
    confirmed = told(other.outcomes[question.figure], other, len(test.pairs))
    return f"{sentence}. On the test images, {confirmed}. {names}"


def _answers(tested: Sequence[Tested], question: Question, best: Row) -> list[str]:
    """Returns what else is asked of the best row: the alert, and the rows after the second."""
    lines = []
    for t in tested:
        for k, pair in enumerate(p for p in t.pairs if p.first.letter == best.letter):
            wanted = [] if not k else [question.figure]
            if question.figure != "sensitivity" and not k:
                wanted = ["sensitivity"]
            for figure in wanted:
                if figure in pair.outcomes and (t.part == question.part or not k):
                    text = told(pair.outcomes[figure], pair, len(t.pairs))
                    lines.append(f"In {question.words(figure)} on {PARTS[t.part]}, {text}.")
    return lines


def _interval(outcome: Outcome, sign: int) -> str:
    if math.isnan(outcome.low):
        return ""
    low, high = sorted((sign * outcome.low, sign * outcome.high))
    return f"95 % interval {low:.3f} to {high:.3f}".replace("-", "−")


def _cautions(
    rows: Sequence[Row], tested: Sequence[Tested], question: Question
) -> list[str]:
    lines = [_leak(row) for row in rows if row.leaky]
    honest = [row for row in rows if not row.leaky]
    once = [row.letter for row in honest if len(row.runs) == 1]
    few = [row.letter for row in honest if 1 < row.seeds < FEW_RUNS]
    if once:
        lines.append(
            f"Trained once: {_listed(once)}. The intervals hold the chance in the images, not the "
            "luck of training; another seed may turn the order. Repeat with seed=1,2,3,4,5."
        )
    if few:
        lines.append(
            f"Few seeds: {_listed(few)}. With fewer than {FEW_RUNS} the luck of training is known "
            "roughly, and only large differences can be shown."
        )
    if any(row.folds > 1 for row in honest):
        lines.append(
            "Folds are not independent, for they share training images: the ± of a row over folds "
            "is too narrow. The test over folds is corrected for it."
        )
    for t in tested:
        lines += _size(t, question)
    if question.part == "test":
        lines.append(
            "The order follows a test figure. Whoever chooses by it has used the test images up: "
            "what they show of the chosen one is too good."
        )
    elif len(honest) >= OPTIMISTIC:
        lines.append(
            f"The best of {len(honest)} rows was chosen on the validation images: what they show of "
            "it is too good. Its test figures were not chosen by."
        )
    if stoppers := [r.letter for r in honest if _validation_chose(r)]:
        lines.append(f"Validation also steered the training of {_listed(stoppers)} (epoch or rate).")
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
    told = [
        f"{100 * value:.0f} % {words}"
        for words, key in shares.items()
        if (value := row.mean(f"leak/{key}").value) > 0
    ]
    return f"Leaky: {row.name}: {'; '.join(told) or 'tagged so'}. Shown, never ranked."


def _size(tested: Tested, question: Question) -> list[str]:
    if not tested.pairs:
        return []
    answers = tested.rows[0][1]
    counts = np.bincount(answers.label, minlength=answers.probability.shape[2])
    present = counts[counts > 0]
    widths = [
        max((o.high - o.low) / 2 for o in found)
        for pair in tested.pairs
        if (found := [pair.outcomes[f] for f in ("balanced_accuracy", "folds") if f in pair.outcomes])
    ]
    line = (
        f"{PARTS[tested.part].capitalize()} has {len(answers.label)} images of "
        f"{len(np.unique(answers.group))} groups, {present.min()} in its smallest class"
    )
    if widths and np.median(widths) > 0:
        line += f"; a difference below about {np.median(widths):.2f} in balanced accuracy would "
        line += "hardly be seen here"
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

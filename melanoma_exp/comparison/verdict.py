"""What the tests show, in words."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from melanoma_exp.comparison.caveats import Question, find
from melanoma_exp.comparison.pairing import Outcome, Pair, Tested, format_p
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.comparison.rows import Row


@dataclass(frozen=True)
class Verdict:
    """A headline, the answers to further questions, and reasons for doubt."""

    headline: str
    answers: Sequence[str]
    caveats: Sequence[str]


def decide(
    rows: Sequence[Row],
    tested: Sequence[Tested],
    question: Question,
    best: Row | None,
    reference: Row | None = None,
    no_best: str = "",
) -> Verdict:
    """Says which row is better, by how much, and what speaks against it.

    Args:
        rows: In the table's order.
        tested: Of each part, validation first.
        question: What is asked.
        best: The row that is marked; None where none qualifies.
        reference: The row that all others were tested against; None where all pairs were.
        no_best: Why no row is the best although all were measured on the same images.
    """
    caveats = find(rows, tested, question)
    honest = [row for row in rows if not row.leaky]
    if len(rows) == 1:
        return Verdict("All runs repeat one setup: there is nothing to compare.", [], caveats)
    if len(honest) < 2:
        who = f"Only {honest[0].name} is not leaky" if honest else "Every row is leaky"
        return Verdict(f"{who}: these runs cannot show which is better.", [], caveats)
    if best is None and not no_best:
        headline = (
            f"These runs cannot show which is better: the rows have different "
            f"{PARTS[question.part]} images, so their metrics are not comparable."
        )
        return Verdict(headline, [], caveats)
    first = best or honest[0]
    second = reference if reference and reference.letter != first.letter else honest[1]
    pair = next((t.pair(first, second) for t in tested if t.part == question.part), None)
    if pair is None:
        headline = f"{first.name} is first; it could not be tested against {second.name}."
    else:
        headline = f"{_headline(pair, tested, question)}{_of_alert(pair, question)}"
    headline = f"{no_best} {headline}" if no_best else headline
    return Verdict(headline, _answers(tested, question, reference or first), caveats)


def describe(outcome: Outcome, pair: Pair, pairs: int) -> str:
    """Returns one outcome in words, to follow the metric and the part.

    Args:
        outcome: Of the pair.
        pair: The two rows.
        pairs: How many pairs the p-value was adjusted for.
    """
    a, b = pair.first.letter, pair.second.letter
    holm = f" after Holm over {pairs} pairs" if pairs > 1 else ""
    if outcome.significant:
        sign = 1 if outcome.estimate > 0 else -1
        facts = [_interval(outcome, sign), format_p(outcome.adjusted)]
        first, second = (a, b) if sign > 0 else (b, a)
        return (
            f"{first} is ahead of {second} by {abs(outcome.estimate):.3f} "
            f"({', '.join(filter(None, facts))}{holm})"
        )
    start = f"no significant difference between {a} and {b}"
    if not outcome.estimate:
        interval = _interval(outcome, 1)
        return f"{start}: their estimates are equal{f' ({interval})' if interval else ''}"
    facts = [
        f"{a} − {b} = {signed(outcome.estimate)}",
        _interval(outcome, 1),
        format_p(outcome.adjusted),
    ]
    return f"{start}: {_objection(outcome, pairs)} ({', '.join(filter(None, facts))}{holm})"


def _objection(outcome: Outcome, pairs: int) -> str:
    """Names what keeps a difference from being shown; its interval alone may exclude zero."""
    if outcome.objecting:
        *others, last = outcome.objecting
        names = f"{', '.join(others)} and {last}" if others else last
        return f"{names} object{'' if others else 's'}"
    return f"{format_p(outcome.p)} alone, but not among {pairs} pairs"


def signed(value: float, digits: int = 3) -> str:
    """Returns a difference with its sign, a true minus sign included."""
    return f"{value:+.{digits}f}".replace("-", "−")


def _headline(pair: Pair, tested: Sequence[Tested], question: Question) -> str:
    of_part = {t.part: t for t in tested}
    metrics = [
        question.tested_metric,
        *(["folds"] if question.tested_metric == "balanced_accuracy" else []),
    ]
    outcomes = [pair.outcomes[f] for f in metrics if f in pair.outcomes]
    words, part = question.title(question.tested_metric), PARTS[question.part]
    if not outcomes:
        return f"{pair.first.name} is first; {words} cannot be tested on {part}."
    # Over folds both tests must agree: the bootstrap ignores that folds share training images.
    main = next((o for o in outcomes if not o.significant), outcomes[0])
    where = f"In {question.title(main.metric)} on {part}"
    sentence = f"{where}, {describe(main, pair, len(of_part[question.part].pairs))}"
    test = of_part.get("test")
    if question.part == "test" or test is None:
        return f"{sentence}."
    other = test.pair(pair.first, pair.second)
    if other is None or question.tested_metric not in other.outcomes:
        return f"{sentence}. It could not be tested on the test images."
    confirmed = describe(other.outcomes[question.tested_metric], other, len(test.pairs))
    return f"{sentence}. On the test images, {confirmed}."


def _of_alert(pair: Pair, question: Question) -> str:
    """Returns a shown difference in alerted lesions found, which no reader may miss; or nothing."""
    outcome = pair.outcomes.get("sensitivity")
    if question.tested_metric == "sensitivity" or outcome is None or not outcome.significant:
        return ""
    ahead = pair.first if outcome.estimate > 0 else pair.second
    words = (
        f"{question.title('sensitivity')} {ahead.letter} is ahead by {abs(outcome.estimate):.3f}"
    )
    return f" In {words}."


def _answers(tested: Sequence[Tested], question: Question, chosen: Row) -> list[str]:
    """Returns what else is tested of the best row or the reference: the alert, and other rows."""
    lines = []
    for t in tested:
        of_chosen = [p for p in t.pairs if chosen.letter in (p.first.letter, p.second.letter)]
        for k, pair in enumerate(of_chosen):
            wanted = [] if not k else [question.tested_metric]
            if question.tested_metric != "sensitivity" and not k:
                wanted = ["sensitivity"]
            for metric in wanted:
                if metric in pair.outcomes and (t.part == question.part or not k):
                    text = describe(pair.outcomes[metric], pair, len(t.pairs))
                    lines.append(f"In {question.title(metric)} on {PARTS[t.part]}, {text}.")
    return lines


def _interval(outcome: Outcome, sign: int) -> str:
    if math.isnan(outcome.low):
        return ""
    low, high = sorted((sign * outcome.low, sign * outcome.high))
    return f"95 % interval {low:.3f} to {high:.3f}".replace("-", "−")

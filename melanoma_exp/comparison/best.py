"""Which row is the best, and why none is: a tie, chance, or nothing measured."""

import math
from collections.abc import Sequence

import numpy as np

from melanoma_exp.comparison.caveats import Question
from melanoma_exp.comparison.images import Answers, same_images
from melanoma_exp.comparison.predictions import PARTS
from melanoma_exp.comparison.rows import Row
from melanoma_exp.evaluation.metrics.interval import Bootstrap

CONFIDENCE = 0.95
EQUAL = 1e-12  # sums of the same shares in another order differ in the last bits


def find(rows: Sequence[Row], question: Question, metric: str) -> tuple[Row | None, str]:
    """Returns the best honest row, and, where there is none to be named, why.

    Args:
        rows: In the table's order.
        question: Which metric orders them.
        metric: Its logged key.

    Returns:
        The first honest row; None without a reason where there are not two of them that were
        measured on the same images, and with one where the first is not known to be ahead of a
        guess, has no figure or shares it with the next.
    """
    honest = [row for row in rows if not row.leaky]
    if len(honest) < 2:
        return None, ""
    kept, others = same_images(honest, question.part)
    if others:
        return None, ""
    first, second = (row.mean(metric).value for row in honest[:2])
    name = question.metric.replace("_", " ")
    if math.isnan(first):
        return None, f"No row is the best: {name} is undefined in all of them."
    if abs(first - second) < EQUAL:
        letters = f"{honest[0].letter} and {honest[1].letter}"
        return None, f"No row is the best: {letters} have the same {name} ({first:.3f})."
    if question.metric == "seconds":
        return honest[0], ""
    if guess := _chance(kept[0][1]):
        return None, (
            f"No row is the best: {honest[0].letter} may know nothing, since the interval of its "
            f"balanced accuracy on {PARTS[question.part]} begins at {guess[0]:.2f} and one answer "
            f"to all images gives {guess[1]:.2f}."
        )
    return honest[0], ""


def _chance(answers: Answers) -> tuple[float, float] | None:
    """Returns where the interval of balanced accuracy begins and chance, if it reaches that.

    Of several runs the mean of their intervals' lower ends: each says of one network what images
    can say of it.
    """
    bootstrap = Bootstrap(answers.group, 1, 0, CONFIDENCE)
    lows = [
        float(bootstrap.mean_share(predicted == answers.label, answers.label).low)
        for predicted in answers.predicted
    ]
    low, chance = float(np.mean(lows)), 1 / len(np.unique(answers.label))
    return (low, chance) if low <= chance < 1 else None

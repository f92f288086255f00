"""Paired tests between rows, on the same images or the same folds.

A rate (balanced accuracy, accuracy, sensitivity, specificity) is tested four ways and called
significant when all agree: the bootstrap over groups of images; a permutation test that swaps
predictions, exact where few images differ; an interval for few images, which adds two of them;
and, where both rows have several runs, Welch's t-test over runs, which covers training noise. p is
the largest of theirs, and the interval spans those of all but the permutation test, which has none.

Several runs of a row count by their mean; over folds the seeds of a fold are averaged first.
McNemar's test needs one prediction an image: it is made where both rows have one run. The mean of
several runs' probabilities would be the prediction of an ensemble, which is not what is compared.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melanoma_exp.comparison.images import Answers, same_images
from melanoma_exp.comparison.rows import Row
from melanoma_exp.evaluation.metrics import paired_tests, t_tests
from melanoma_exp.evaluation.metrics.score_intervals import paired

TESTED = 8  # rows; with more pairs no test has power left after Holm's adjustment
LEVEL = 0.05
BOOTSTRAP, SWAPPED = "the bootstrap over images", "the permutation test"
FEW = "the interval with two images added"
WELCH = "Welch's test over runs"
LEAST = 1e-3  # below the resolution of 2,000 resamples


@dataclass(frozen=True)
class Outcome:
    """One metric of one pair: the first row's minus the second's.

    Attributes:
        metric: balanced_accuracy, accuracy, sensitivity, specificity, mcnemar or folds.
        estimate: The difference.
        low, high: Of the 95 % interval, NaN where the test gives none.
        p: On its own.
        adjusted: p after Holm's adjustment over all pairs, for one metric and part.
        objecting: The tests that do not show the difference by themselves, in words.
        counts: Images that only the first, only the second gets right; McNemar's test only.
    """

    metric: str
    estimate: float
    low: float
    high: float
    p: float
    adjusted: float
    objecting: tuple[str, ...]
    counts: tuple[int, int] | None = None

    @property
    def significant(self) -> bool:
        """At the 5 % level."""
        return self.adjusted < LEVEL


@dataclass(frozen=True)
class Pair:
    """Two rows and their tests by metric; a metric that cannot be tested is absent."""

    first: Row
    second: Row
    outcomes: Mapping[str, Outcome]


@dataclass(frozen=True)
class Tested:
    """Everything tested on one part.

    Attributes:
        part: val or test.
        rows: With their predictions, in the table's order.
        pairs: All pairs of them, or those with the reference.
        notes: A line for each row that was not tested, and why.
    """

    part: str
    rows: Sequence[tuple[Row, Answers]]
    pairs: Sequence[Pair]
    notes: Sequence[str]

    def pair(self, first: Row, second: Row) -> Pair | None:
        """Returns the pair of two rows, the better one first; None where it was not tested."""
        found = (
            p
            for p in self.pairs
            if (p.first.letter, p.second.letter) == (first.letter, second.letter)
        )
        return next(found, None)


def compare_pairs(
    rows: Sequence[Row], part: str, positive: Sequence[int], reference: Row | None = None
) -> Tested:
    """Tests every pair of the first rows, or every row against one.

    Args:
        rows: In the table's order; leaky ones are left out.
        part: val or test.
        positive: Labels of the alerted class.
        reference: The row that all others are tested against, and against nothing else; so few
            pairs leave each its power, however many rows there are.
    """
    notes = [
        f"{row.letter}: leaky, not tested: no p-value makes up for images seen in training"
        for row in rows
        if row.leaky
    ]
    honest = [row for row in rows if not row.leaky]
    if reference is None and len(honest) > TESTED:
        notes.append(
            f"{honest[TESTED].letter} and after: not tested; the first {TESTED} rows are, because "
            "each further row costs every pair some power"
        )
    kept, left = same_images(honest[: None if reference else TESTED], part)
    notes += [f"{row.letter}: not tested: {reason}" for row, reason in left]
    if len(kept) < 2:
        return Tested(part, kept, [], notes)
    bootstrap = paired_tests.GroupBootstrap(kept[0][1].group)
    metrics = [_metrics(bootstrap, answers, positive) for _, answers in kept]
    pairs = []
    for (k, (a, of_a)), (m, (b, of_b)) in itertools.combinations(enumerate(kept), 2):
        if reference is not None and reference.letter not in (a.letter, b.letter):
            continue
        tests = {
            name: _differ(name, metrics[k][name], metrics[m][name], of_a.group)
            for name in metrics[k]
        }
        if len(of_a.predicted) == len(of_b.predicted) == 1:
            tests["mcnemar"] = _mcnemar(of_a, of_b)
        if part == "val" and (folds := _folds(a, b)):
            tests["folds"] = folds
        able = {name: t for name, t in tests.items() if not math.isnan(t.p)}
        pairs.append(Pair(a, b, able))
    return Tested(part, kept, _adjusted(pairs), notes)


@dataclass(frozen=True)
class _Metric:
    """One metric of one row: hits bool (repeats, n), their cells and trainings (n,), resamples."""

    hit: np.ndarray
    cell: np.ndarray
    training: np.ndarray
    resampled: paired_tests.Resampled


def _metrics(
    bootstrap: paired_tests.GroupBootstrap, answers: Answers, positive: Sequence[int]
) -> dict[str, _Metric]:
    label, predicted = answers.label, answers.predicted
    right = predicted == label
    found = {"balanced_accuracy": (right, label), "accuracy": (right, np.zeros_like(label))}
    if len(positive):
        actual, alerted = np.isin(label, positive), np.isin(predicted, positive)
        found["sensitivity"] = (alerted, np.where(actual, 0, -1))
        found["specificity"] = (~alerted, np.where(actual, -1, 0))
    return {
        name: _Metric(hit, cell, answers.training, bootstrap.share(hit, cell))
        for name, (hit, cell) in found.items()
    }


def _differ(metric: str, a: _Metric, b: _Metric, group: np.ndarray) -> Outcome:
    """Compares a metric in the ways that the module describes."""
    first, second = (x.hit.mean(axis=0) for x in (a, b))
    differences = {
        BOOTSTRAP: paired_tests.difference(a.resampled, b.resampled),
        FEW: paired.difference(first - second, a.cell, group, paired_tests.CONFIDENCE),
    }
    if min(len(a.hit), len(b.hit)) > 1:
        runs = [paired_tests.contributions(x.hit, x.cell, x.training) for x in (a, b)]
        differences[WELCH] = t_tests.welch(*runs)
    swapped = paired_tests.swap_p(first, second, a.cell, group)
    every = {SWAPPED: swapped, **{name: d.p for name, d in differences.items()}}
    p, spans = max(every.values()), differences.values()
    low, high = min(d.low for d in spans), max(d.high for d in spans)
    objecting = tuple(name for name, value in every.items() if value >= LEVEL)
    return Outcome(metric, differences[BOOTSTRAP].estimate, low, high, p, p, objecting)


def _mcnemar(a: Answers, b: Answers) -> Outcome:
    right = [x.predicted[0] == x.label for x in (a, b)]
    result = paired_tests.mcnemar(*right)
    estimate = (result.only_first - result.only_second) / len(a.label)
    counts = (result.only_first, result.only_second)
    objecting, nan = _alone("McNemar's test", result.p), math.nan
    return Outcome("mcnemar", estimate, nan, nan, result.p, result.p, objecting, counts)


def _folds(a: Row, b: Row) -> Outcome | None:
    """Compares balanced accuracy over the folds that both rows were validated on."""
    per_fold = [_by_fold(row) for row in (a, b)]
    shared = [
        fold
        for fold, (images, _) in per_fold[0].items()
        if fold in per_fold[1] and per_fold[1][fold][0] == images
    ]
    values = [per_fold[0][f][1] - per_fold[1][f][1] for f in shared]
    if len(values) < 2 or any(math.isnan(v) for v in values):
        return None
    ratios = [
        run.metric("val_images") / (run.metric("train_images") - run.metric("synthetic_images"))
        for run in (*a.runs, *b.runs)
    ]
    d = t_tests.corrected_resampled_t(values, float(np.mean(ratios)))
    objecting = _alone("the t-test over folds", d.p)
    return Outcome("folds", d.estimate, d.low, d.high, d.p, d.p, objecting)


def _alone(test: str, p: float) -> tuple[str, ...]:
    return (test,) if p >= LEVEL else ()


def _by_fold(row: Row) -> dict[str, tuple[tuple[bytes, bytes], float]]:
    """Returns the validation images and the mean over seeds of each fold."""
    found: dict[str, list[float]] = {}
    images = {}
    for run in row.runs:
        fold = run.stored.params.get("split.fold")
        if fold is not None:
            found.setdefault(fold, []).append(run.metric("final/val/balanced_accuracy"))
            images[fold] = run.parts["val"].images
    return {fold: (images[fold], float(np.mean(values))) for fold, values in found.items()}


def _adjusted(pairs: Sequence[Pair]) -> list[Pair]:
    """Returns the pairs with p-values adjusted over all pairs, metric by metric."""
    tests = [dict(pair.outcomes) for pair in pairs]
    for metric in dict.fromkeys(name for found in tests for name in found):
        having = [found for found in tests if metric in found]
        adjusted = paired_tests.holm([found[metric].p for found in having])
        for found, p in zip(having, adjusted, strict=True):
            found[metric] = replace(found[metric], adjusted=p)
    return [replace(pair, outcomes=found) for pair, found in zip(pairs, tests, strict=True)]


def format_p(p: float) -> str:
    """Returns a p-value as text: `p < 0.001`, `p = 0.012`, `p = 0.4`."""
    if p < LEAST:
        return "p < 0.001"
    return f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"

"""Measures how often intervals hold the true value: the percentile bootstrap's, and those in use.

    python benchmarks/intervals.py [repeats]

Draws test parts of known truth: a lesion has one photograph or one to four, its logits are the sum
of those of its class (classes differ in difficulty), of the lesion and of the photograph. With the
default 300 repeats a coverage of .95 is measured to within .025. Prints a row a setting, as
Markdown.
"""

import sys
import time
from collections import defaultdict

import numpy as np
from scipy.special import ndtri

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, percentiles
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals import f1
from melanoma_exp.evaluation.metrics.score_intervals.areas import area
from melanoma_exp.evaluation.metrics.score_intervals.average_precision import average_precision

RESAMPLES, SEED, BY_LESION = 300, 1, 0.7
DESIGNS = {  # lesions of each class
    "10 in 3 classes": [4, 3, 3],
    "15 in 5": [3] * 5,
    "27 in 7": [5, 4, 4, 4, 4, 3, 3],
    "30 in 3": [10] * 3,
    "100 in 7, unequal": [60, 20, 10, 4, 2, 2, 2],
    "100 in 9": [12] * 8 + [4],
    "118 in 9, as the ISIC test": [16] * 6 + [3, 3, 16],
    "300 in 7, as HAM10000": [200, 30, 33, 11, 14, 4, 8],
}
STRENGTHS = {"none": 0.0, "weak": 1.0, "good": 2.5, "strong": 4.0}
METRICS = ("balanced_accuracy", "macro_auc", "accuracy", "auc")
METRICS += ("macro_f1", "f1", "average_precision")
Answers = tuple[np.ndarray, np.ndarray, np.ndarray]


def main(repeats: int) -> None:
    """Prints the coverage of each setting before and now."""
    started = time.process_time()
    heads = [f"{name.replace('_', ' ')}, {when}" for name in METRICS for when in ("before", "now")]
    print(f"| lesions | network | photographs | {' | '.join(heads)} |")
    print(f"|---|---|---|{'---|' * len(heads)}")
    for design, counts in DESIGNS.items():
        for strength, skill in STRENGTHS.items():
            for most in (1, 4):
                covered = coverage(np.array(counts), skill, most, repeats)
                cells = [f"{covered[name, when]:.3f}" for name in METRICS for when in (0, 1)]
                many = "1" if most == 1 else f"1 to {most}"
                print(f"| {design} | {strength} | {many} | {' | '.join(cells)} |", flush=True)
    print(f"{time.process_time() - started:.0f} CPU-s", file=sys.stderr)


def coverage(
    counts: np.ndarray, skill: float, most: int, repeats: int
) -> dict[tuple[str, int], float]:
    """Returns by metric and method (0 before, 1 now) how often the truth was in the interval."""
    random = np.random.default_rng(SEED)
    label, _, probability = draw(counts * max(1, 20_000 // counts.sum()), skill, 1, random)
    predicted = probability.argmax(axis=1)
    right = predicted == label
    f1s = [plain_f1(label == k, predicted == k) for k in range(len(counts))]
    recalls = [right[label == k].mean() for k in range(len(counts))]
    areas = [plain_auc(label == k, probability[:, k]) for k in range(len(counts))]
    truth = {
        "balanced_accuracy": np.mean(recalls),
        "accuracy": right.mean(),
        "macro_auc": np.mean(areas),
        "auc": areas[1],
        "macro_f1": np.mean(f1s),
        "f1": f1s[1],
        "average_precision": plain_average_precision(label == 1, probability[:, 1]),
    }
    hits: dict[tuple[str, int], list[bool]] = defaultdict(list)
    for _ in range(repeats):
        drawn = draw(counts, skill, most, random)
        for method, estimates in enumerate((before(drawn, random), now(drawn))):
            for name, found in estimates.items():
                hits[name, method].append(bool(found.low <= truth[name] <= found.high))
    return {key: float(np.mean(held)) for key, held in hits.items()}


def draw(counts: np.ndarray, skill: float, most: int, random: np.random.Generator) -> Answers:
    """Returns labels (n,), lesions (n,) and probabilities (n, c) of photographs."""
    classes, of_lesion = len(counts), np.repeat(np.arange(len(counts)), counts)
    lesion = np.repeat(np.arange(len(of_lesion)), random.integers(1, most + 1, len(of_lesion)))
    label = of_lesion[lesion]
    means = skill * np.diag(np.linspace(0.6, 1.4, classes))
    logits = means[label] + np.sqrt(1 - BY_LESION) * random.normal(size=(len(label), classes))
    logits += np.sqrt(BY_LESION) * random.normal(size=(len(of_lesion), classes))[lesion]
    raised = np.exp(logits)
    return label, lesion, raised / raised.sum(axis=1, keepdims=True)


def now(drawn: Answers) -> dict[str, Estimate]:
    """Returns the estimates that an evaluation reports."""
    label, lesion, probability = drawn
    bootstrap = Bootstrap(lesion.astype(str), 1, SEED, 0.95)
    predicted = probability.argmax(axis=1)
    right = predicted == label
    classes = range(probability.shape[1])
    rankings = [Ranking(label == k, probability[:, k], bootstrap) for k in classes]
    return {
        "balanced_accuracy": bootstrap.mean_share(right, label),
        "accuracy": bootstrap.share(right, np.ones(len(right), bool)),
        "macro_auc": area(rankings, bootstrap),
        "auc": area(rankings[1:2], bootstrap),
        "macro_f1": f1.mean(label, predicted, bootstrap),
        "f1": f1.of_class(label == 1, predicted == 1, bootstrap),
        "average_precision": average_precision(rankings[1], bootstrap),
    }


def before(drawn: Answers, random: np.random.Generator) -> dict[str, Estimate]:
    """Returns percentile intervals over resampled lesions, and Wilson's with a normal quantile.

    Those of F1 and average precision are expanded, as all bootstrap intervals are now.
    """
    label, lesion, probability = drawn
    lesions, classes = lesion.max() + 1, probability.shape[1]
    times = random.multinomial(lesions, np.full(lesions, 1 / lesions), RESAMPLES).T.astype(float)
    bootstrap = Bootstrap(np.array([f"{k:06}" for k in lesion]), 1, SEED, 0.95)
    predicted = probability.argmax(axis=1)
    right = predicted == label
    rows = bootstrap.cells(label, classes) @ times
    hits = bootstrap.cells(label, classes, values=right.astype(float)) @ times
    named = bootstrap.cells(predicted, classes) @ times
    with np.errstate(invalid="ignore"):
        recall = hits / rows
        f1s = np.where(rows > 0, 2 * hits / (rows + named), np.nan)
    rankings = [Ranking(label == k, probability[:, k], bootstrap) for k in range(classes)]
    areas = np.array([ranking.curve(times).auc() for ranking in rankings])
    curve = rankings[1].curve(times)
    return {
        "balanced_accuracy": percentile(np.nanmean(recall, axis=0)),
        "macro_auc": percentile(np.nanmean(areas, axis=0)),
        "auc": percentile(areas[1][~np.isnan(areas[1])]),
        "macro_f1": expanded(np.nanmean(f1s, axis=0), lesions),
        "f1": expanded(f1s[1], lesions),
        "average_precision": expanded(curve.average_precision(), lesions),
        "accuracy": normal_wilson(np.bincount(lesion, right), np.bincount(lesion)),
    }


def percentile(values: np.ndarray) -> Estimate:
    """Returns the central 95 % of resamples."""
    return Estimate(np.nan, *np.quantile(values, [0.025, 0.975])) if len(values) else NOTHING


def expanded(values: np.ndarray, lesions: int) -> Estimate:
    """Returns the interval that the bootstrap gives."""
    return Estimate(np.nan, *percentiles(values, 0.95, lesions))


def normal_wilson(hits: np.ndarray, rows: np.ndarray) -> Estimate:
    """Returns Wilson's interval of rows over their design effect, with a normal quantile."""
    n, share, z = rows.sum(), hits.sum() / rows.sum(), ndtri(0.975)
    spread = n * share * (1 - share)
    size = n / max(1.0, ((hits - share * rows) ** 2).sum() / spread) if spread else len(rows)
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z / (1 + z**2 / size) * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2))
    return Estimate(share, centre - half, centre + half)


def plain_auc(positive: np.ndarray, score: np.ndarray) -> float:
    """Returns the area by ranks; scores hold no ties."""
    rank = np.argsort(np.argsort(score)) + 1
    n = positive.sum()
    return float((rank[positive].sum() - n * (n + 1) / 2) / (n * (~positive).sum()))


def plain_f1(positive: np.ndarray, predicted: np.ndarray) -> float:
    """Returns twice the hits over all that are of the class or predicted as it, both counted."""
    return float(2 * (positive & predicted).sum() / (positive.sum() + predicted.sum()))


def plain_average_precision(positive: np.ndarray, score: np.ndarray) -> float:
    """Returns the mean precision at the positives; scores hold no ties."""
    found = positive[np.argsort(-score)]
    return float((found.cumsum() / np.arange(1, len(found) + 1))[found].mean())


NOTHING = Estimate(*np.full(3, np.nan))

if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)

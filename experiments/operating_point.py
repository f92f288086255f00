"""What the melanoma alert of each setup is worth: net benefit, calibration, subgroups."""

import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import figures
import numpy as np
from forest import setup

from melanoma_exp.comparison.build import Comparison
from melanoma_exp.comparison.images import Answers
from melanoma_exp.comparison.rows import Row
from melanoma_exp.evaluation.metrics.alert import net_benefit
from melanoma_exp.tracking.archive import Archive

CHANCES = (0.05, 0.1, 0.2)  # probabilities of melanoma from which one would act
FEWEST = 10  # melanomas of a subgroup that is shown
FIGURES: dict[str, figures.Figure] = {
    "melanoma AUC": figures.melanoma_auc,
    "specificity at 95 % sensitivity": figures.specificity_at_95,
    "sensitivity at 95 % specificity": figures.sensitivity_at_95,
}


def describe(archive: Archive, comparisons: Sequence[Comparison]) -> list[str]:
    """Returns two tables in Markdown: the alert by setup, and by subgroup of patients.

    Args:
        archive: Where the runs are.
        comparisons: One, of the setups with their predictions.
    """
    (compared,) = comparisons
    val = next(one for one in compared.tested if one.part == "val")
    melanoma = figures.melanoma_of(tuple(compared.classes))
    return [
        "The melanoma alert on validation. Net benefit is in melanomas found per 1,000 images, at "
        "the plain probability of melanoma from which one would act, against alerting for every "
        "image (the decision curve of a run is of its calibrated probability):",
        "",
        *_by_setup(val.rows, melanoma),
        "",
        "Share of melanomas caught and of others spared, at the threshold of 95 % sensitivity, in "
        f"subgroups of at least {FEWEST} melanomas:",
        "",
        *_by_subgroup(archive, compared.rows),
        "",
    ]


def benefit(positive: np.ndarray, probability: np.ndarray, chance: float) -> float:
    """Returns the net benefit of an alert from a probability on, in melanomas per 1,000 images.

    Args:
        positive: bool (n,).
        probability: float64 (n,).
        chance: An image is alerted from this probability.
    """
    alerted = probability >= chance
    true, false = (alerted & positive).sum(), (alerted & ~positive).sum()
    return 1000 * float(net_benefit(true, false, len(positive), chance))


def _by_setup(answered: Iterable[tuple[Row, Answers]], melanoma: int) -> list[str]:
    at = [f"net benefit at {chance:.0%}" for chance in CHANCES]
    names = ["setup", *FIGURES, "calibration error", *at]
    lines = [_line(names), _line(["---"] * len(names))]
    everyone: list[str] = []
    for row, answers in answered:
        means = [f"{np.mean(figures.values(row, one)):.3f}" for one in FIGURES.values()]
        means.append(f"{row.mean('final/val/ece_calibrated').value:.3f}")
        positive = answers.label == melanoma
        gained = [
            np.mean([benefit(positive, p[:, melanoma], q) for p in answers.probability])
            for q in CHANCES
        ]
        lines.append(_line([setup(row), *means, *(f"{value:.0f}" for value in gained)]))
        always = np.ones(len(positive))
        values = (benefit(positive, always, q) for q in CHANCES)
        everyone = [f"{value:.0f}" for value in values]
    return [*lines, _line(["alert for all", *["–"] * (len(FIGURES) + 1), *everyone])]


def _by_subgroup(archive: Archive, rows: Sequence[Row]) -> list[str]:
    tables = {setup(row): _counts(archive, row) for row in rows}
    groups = list(dict.fromkeys(key for table in tables.values() for key in table))
    lines = [_line(["", "melanomas", *tables]), _line(["---"] * (2 + len(tables)))]
    for key in groups:
        found = [table.get(key, np.zeros(4)) for table in tables.values()]
        melanomas = int(max(one[1] for one in found))
        if melanomas < FEWEST:
            continue
        cells = [
            f"{one[0] / one[1]:.2f}, {one[2] / one[3]:.2f}" if one[1] and one[3] else "–"
            for one in found
        ]
        lines.append(_line([": ".join(key), str(melanomas), *cells]))
    return lines


def _counts(archive: Archive, row: Row) -> Mapping[tuple[str, str], np.ndarray]:
    """Returns by subgroup melanomas caught, melanomas, others spared and others, over all runs."""
    counts: dict[tuple[str, str], np.ndarray] = defaultdict(lambda: np.zeros(4))
    for run in row.runs:
        for one in csv.DictReader(io.StringIO(archive.text(run.stored, "subgroups_val.csv"))):
            positives, others = int(one["positives"]), int(one["images"]) - int(one["positives"])
            sensitivity, specificity = (float(one[k] or 0) for k in ("sensitivity", "specificity"))
            caught = np.nan_to_num([sensitivity * positives, specificity * others])
            counts[one["attribute"], one["value"]] += caught[0], positives, caught[1], others
    return counts


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"

"""How often each class has a marker, and whether a network could tell the class by it.

Images of one lesion share their markers more often than not, so that lesions are counted: the
groups of the survey, within each class. Fisher's exact test compares the lesions of a class with
those of all others; Holm's method allows for the number of markers and classes that are looked at.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.data.samples import Samples
from melanoma_exp.system.shown import TableWriter

CONFIDENCE = 0.95
LEVEL = 0.05  # of the tests, all together
ONLY = 0.9  # share of the lesions with a marker that are of one class
TIMES = 3.0  # how much more common in a class than in the others
COLUMNS = (
    *("marker", "class", "images", "with it", "lesions", "lesions with it"),
    *("share of lesions", "low", "high", "share in other classes", "p"),
)


@dataclass(frozen=True)
class Count:
    """How many images and lesions of a class have a marker.

    Attributes:
        marker: Its name.
        label: The class.
        images: Images of the class, with and without it.
        marked_images: Those that have it.
        lesions: Lesions of the class, with and without it.
        marked: Lesions of which an image has it.
        low: Lower end of Wilson's 95 % interval for the share of lesions.
        high: Its upper end.
        others: Lesions of the other classes.
        marked_others: Those that have it.
        p: Of Fisher's exact test against the other classes, two-sided, by Holm's method.
    """

    marker: str
    label: str
    images: int
    marked_images: int
    lesions: int
    marked: int
    low: float
    high: float
    others: int
    marked_others: int
    p: float

    @property
    def share(self) -> float:
        """Share of lesions that have it, 0 where there is none."""
        return self.marked / max(self.lesions, 1)

    @property
    def share_of_others(self) -> float:
        """Share of lesions of other classes that have it."""
        return self.marked_others / max(self.others, 1)

    @property
    def shortcut(self) -> str:
        """What a network could learn from it in place of the lesion, "" where that is nothing."""
        if self.p >= LEVEL or self.share <= self.share_of_others:
            return ""
        have = self.marked + self.marked_others
        if self.marked >= ONLY * have:
            of_all = self.lesions / (self.lesions + self.others)
            return (
                f"{self.marker} stands with {self.label} (almost) only: {self.marked} of the "
                f"{have} lesions that have it, while {of_all:.0%} of all lesions are "
                f"{self.label} ({_p(self.p)}). It is a shortcut: a network can tell the class by it"
            )
        if self.share >= TIMES * self.share_of_others:
            return (
                f"{self.marker} is on {self.share:.1%} of the lesions of {self.label} "
                f"({self.low:.1%} to {self.high:.1%}) and on {self.share_of_others:.1%} of the "
                f"others ({_p(self.p)}). It may be a shortcut: a network can learn it"
            )
        return ""


def count(samples: Samples, marked: dict[str, np.ndarray]) -> list[Count]:
    """Returns a count for each marker and class.

    Args:
        samples: The images.
        marked: For each marker bool (n,), which images have it.
    """
    from scipy.stats import binomtest, fisher_exact

    lesion, unit = np.unique(
        np.stack([np.unique(samples.group, return_inverse=True)[1], samples.label]),
        axis=1,
        return_inverse=True,
    )
    label = lesion[1]
    found, chances = [], []
    for has in marked.values():
        of_lesion = np.bincount(unit.ravel(), has, len(label)) > 0
        for k in range(len(samples.classes)):
            mine = label == k
            table = [int((of_lesion & mine).sum()), int(mine.sum())]
            table += [int((of_lesion & ~mine).sum()), int((~mine).sum())]
            a, n, b, m = table
            chances.append(float(fisher_exact([[a, n - a], [b, m - b]]).pvalue))
            interval = binomtest(a, n).proportion_ci(CONFIDENCE, "wilson") if n else (0.0, 1.0)
            found.append((*table, *interval))
    p = iter(_holm(chances))
    rows = iter(found)
    counts = []
    for marker, has in marked.items():
        for k, name in enumerate(samples.classes):
            a, n, b, m, low, high = next(rows)
            of_class = samples.label == k
            images = int(of_class.sum()), int((has & of_class).sum())
            counts.append(Count(marker, name, *images, n, a, low, high, m, b, next(p)))
    return counts


def shortcuts(counts: Sequence[Count]) -> list[str]:
    """Returns a sentence for each marker that could give a class away, the clearest first."""
    found = [one for one in counts if one.shortcut]
    return [one.shortcut for one in sorted(found, key=lambda one: one.p)]


def write_csv(counts: Sequence[Count], path: Path) -> None:
    """Writes one row for each marker and class."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = TableWriter(file)
        writer.writerow(COLUMNS)
        for one in counts:
            shares = [one.share, one.low, one.high, one.share_of_others]
            row = [one.marker, one.label, one.images, one.marked_images, one.lesions, one.marked]
            writer.writerow([*row, *(f"{share:.4f}" for share in shares), f"{one.p:.3g}"])


def _holm(chances: Sequence[float]) -> list[float]:
    """Returns p-values that allow for each other (Holm, Scand. J. Statist. 6, 1979)."""
    p = np.array(chances)
    order = np.argsort(p, kind="stable")
    raised = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1))
    result = np.empty(len(p))
    result[order] = np.minimum(raised, 1)
    return result.tolist()


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"

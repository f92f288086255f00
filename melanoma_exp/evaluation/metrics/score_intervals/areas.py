"""Areas under ROC curves with score intervals, for one class and for means over classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals.proportions import (
    quantile,
    score_interval,
    together,
)


def area(
    rankings: Sequence[Ranking], bootstrap: Bootstrap, weight: Floats | None = None
) -> Estimate:
    """Returns the weighted mean area under the ROC curves that are defined; ties count half.

    An area is the share of pairs that are in order. The interval takes it for a proportion of as
    many rows as give it the variance of Hanley and McNeil (Radiology 143, 1982), which needs only
    the area and the number of positive and other images, so that a perfect area of three positives
    has an interval too (Newcombe, Statistics in Medicine 25, 2006, method 5). Images that
    share groups count for fewer, by the design effect of the placements (Obuchowski, Biometrics 53,
    1997); a mean of areas whose errors go together gets the variance of the sum (DeLong et al.,
    Biometrics 44, 1988). Student's quantile has as many degrees of freedom as there are groups less
    sides or classes.

    Args:
        rankings: Of each class against the rest; those without positives or others are left out.
        bootstrap: Of the rows.
        weight: float64 (k,), 0 or more; None weighs all alike.
    """
    weight = np.ones(len(rankings)) if weight is None else weight
    pairs = [(r, w) for r, w in zip(rankings, weight, strict=True) if r.defined and w > 0]
    if not pairs:
        return Estimate(*np.full(3, np.nan))
    found = [_Area.of(ranking, bootstrap) for ranking, _ in pairs]
    weight = np.array([w for _, w in pairs])
    weight = weight / weight.sum()
    value = np.array([one.value for one in found])
    sizes = np.array([one.size(_design_effect(found, bootstrap)) for one in found])
    freedom = bootstrap.groups - max(len(found), 2)
    errors = weight[:, None] * np.stack([one.positives + one.others for one in found])
    z = quantile(bootstrap.confidence, freedom) * np.sqrt(together(errors))
    return Estimate(*np.array([weight @ value, *score_interval(value, sizes, weight, z)]))


@dataclass(frozen=True)
class _Area:
    """One area.

    Attributes:
        value: The area.
        positives: float64 (groups,), what each group's positive images add to the error.
        others: Likewise, of its other images.
        images: Positive and other ones.
        groups: That have some of each.
        independent: Variance if images shared no groups.
    """

    value: float
    positives: Floats
    others: Floats
    images: tuple[float, ...]
    groups: tuple[int, ...]
    independent: float

    @classmethod
    def of(cls, ranking: Ranking, bootstrap: Bootstrap) -> "_Area":
        sides = ranking.placements()
        value = float((sides[0].count.sum(axis=1) * sides[0].share).sum() / sides[0].count.sum())
        errors, images, groups, variance = [], [], [], 0.0
        for side in sides:
            off, n = side.share - value, float(side.count.sum())
            errors.append(off @ side.count / n)
            images.append(n)
            groups.append(int((side.count.sum(axis=0) > 0).sum()))
            squares = float((side.count.sum(axis=1) * off**2).sum())
            variance += squares / n / max(n - 1, 1)
        return cls(value, errors[0], errors[1], tuple(images), tuple(groups), variance)

    @property
    def clustered(self) -> float:
        """Variance as images share groups."""
        return sum(
            g / max(g - 1, 1) * float((error**2).sum())
            for error, g in zip((self.positives, self.others), self.groups, strict=True)
        )

    def size(self, design_effect: float) -> float:
        """Returns the rows of which a proportion has the variance of this area."""
        m, n = (max(count / design_effect, 1.0) for count in self.images)
        a = self.value
        return m * n / (1 + ((m + n) / 2 - 1) * ((1 - a) / (2 - a) + a / (1 + a)))


def _design_effect(found: Sequence[_Area], bootstrap: Bootstrap) -> float:
    """Returns by how much groups raise the variance of all areas together, at least 1."""
    sizes = np.bincount(bootstrap.index)
    if sizes.max() == 1:
        return 1.0
    independent = sum(one.independent for one in found)
    if not independent:  # nothing varies: a group counts once
        return float((sizes**2).sum() / sizes.sum())
    return max(1.0, sum(one.clustered for one in found) / independent)

"""Average precision with a score interval."""

import numpy as np

from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate
from melanoma_exp.evaluation.metrics.roc import Ranking
from melanoma_exp.evaluation.metrics.score_intervals.proportions import quantile, score_interval


def average_precision(ranking: Ranking, bootstrap: Bootstrap) -> Estimate:
    """Returns the mean precision at the positive images; NaN without positives or others.

    The interval takes it for a proportion of as many rows as there are positives, as Boyd, Eng and
    Page do (ECML PKDD 2013; their binomial interval), with Wilson's limits. Positives that share
    groups count for fewer, by the design effect, and the quantile is then Student's.

    Args:
        ranking: Of the rows by their score.
        bootstrap: Of the rows.
    """
    if not ranking.defined:
        return Estimate(*np.full(3, np.nan))
    found = ranking.precisions()
    rows = float(found.count.sum())
    value = float(found.share @ found.count.sum(axis=1)) / rows
    off = found.share - value
    groups = int((found.count.sum(axis=0) > 0).sum())
    effect, shared = 1.0, rows > groups
    if shared:
        apart = float(off**2 @ found.count.sum(axis=1))
        effect = (
            max(1.0, float(((off @ found.count) ** 2).sum()) / apart) if apart else rows / groups
        )
    z = quantile(bootstrap.confidence, groups - 1 if shared else None)
    one = np.ones(1)
    return Estimate(*np.array([value, *score_interval(value * one, rows / effect * one, one, z)]))

"""Fits the out-of-distribution score at the end of a training.

Apart from the score itself, so that a prediction does not import scikit-learn (2 CPU-seconds).
"""

from dataclasses import replace

import numpy as np
from sklearn.covariance import LedoitWolf

from melanoma_exp.evaluation.out_of_distribution import (
    FLAGGED,
    NAMES,
    SMALLEST,
    OutOfDistribution,
    statistics,
)


def fit(train: np.ndarray, val: np.ndarray) -> OutOfDistribution | None:
    """Describes the training images and sets the limit on the validation images.

    Args:
        train: uint8 (n, h, w, 3), originals.
        val: uint8 (m, h, w, 3).

    Returns:
        None where there are fewer than `SMALLEST` of either.
    """
    if min(len(train), len(val)) < SMALLEST:
        return None
    known = statistics(train)
    mean, deviation = known.mean(axis=0), known.std(axis=0) + 1e-6
    # Shrunk towards a multiple of the identity: few images give no singular covariance.
    precision = LedoitWolf(assume_centered=True).fit((known - mean) / deviation).precision_
    fitted = OutOfDistribution(
        NAMES,
        tuple(mean.tolist()),
        tuple(deviation.tolist()),
        tuple(map(tuple, precision.tolist())),
        0.0,
        len(known),
        len(val),
    )
    return replace(fitted, limit=float(np.quantile(fitted.distance(val), 1 - FLAGGED)))

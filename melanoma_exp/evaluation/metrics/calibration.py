"""Whether a probability means what it says, and the one number that mends most of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats, stack

COLDEST, HOTTEST = 0.05, 20.0  # where separable or meaningless logits would run away to 0 or on


@dataclass(frozen=True)
class Reliability:
    """Probability said against frequency seen.

    Attributes:
        ece_width: Expected calibration error over bins of equal width, 0 to 1.
        ece_mass: The same over bins of equally many images.
        said: float64 (k,), mean probability of each bin of equal mass.
        seen: Frequency in each of them, with Wilson's interval.
        images: int64 (k,), in each of them.
    """

    ece_width: float
    ece_mass: float
    said: Floats
    seen: Estimate
    images: NDArray[np.int64]


def temperature(logits: Floats, truth: NDArray[np.integer]) -> float:
    """Returns the T for which softmax(logits / T) has the smallest log loss on the images.

    Guo et al., On calibration of modern neural networks, ICML 2017. The loss is convex in 1 / T, so
    the one minimum is found; it is kept within 0.05 and 20.

    Args:
        logits: float64 (n, c), finite.
        truth: int (n,).
    """
    logits = logits - logits.max(axis=1, keepdims=True)
    own = logits[np.arange(len(truth)), truth].mean()

    def loss(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float(np.log(np.exp(beta * logits).sum(axis=1)).mean() - beta * own)

    bounds = (-np.log(HOTTEST), -np.log(COLDEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))


def reliability(
    said: Floats, happened: NDArray[np.bool_], bins: int, bootstrap: Bootstrap
) -> Reliability:
    """Compares what was said with what happened.

    ECE = sum over bins of (images of the bin / all) |mean said - frequency|: Naeini et al., AAAI
    2015, with bins of equal width; Nguyen and O'Connor, EMNLP 2015, with bins of equal mass. Small
    parts overstate it: each bin's own noise counts as error.

    Args:
        said: float64 (n,), probabilities.
        happened: bool (n,), n >= 1.
        bins: Their number; a tie of probabilities is never cut, so there may be fewer.
        bootstrap: Of the n rows.
    """
    mass = _equal_mass(said, bins)
    return Reliability(
        _error(said, happened, np.minimum((said * bins).astype(int), bins - 1)),
        _error(said, happened, mass),
        np.array([said[mass == k].mean() for k in range(mass.max() + 1)]),
        stack([bootstrap.share(happened, mass == k) for k in range(mass.max() + 1)]),
        np.bincount(mass),
    )


def of_classes(
    logits: Floats, truth: NDArray[np.integer], heat: float, bins: int, bootstrap: Bootstrap
) -> Reliability:
    """Returns the reliability of the most probable class's probability at a temperature."""
    probability = softmax(logits, heat)
    return reliability(
        probability.max(axis=1), probability.argmax(axis=1) == truth, bins, bootstrap
    )


def _equal_mass(said: Floats, bins: int) -> NDArray[np.int64]:
    """Returns the bin of each image, numbered without gaps; equal probabilities share a bin."""
    rank = np.searchsorted(np.sort(said), said)  # the same for ties
    _, numbered = np.unique(rank * bins // len(said), return_inverse=True)
    return numbered


def _error(said: Floats, happened: NDArray[np.bool_], place: NDArray[np.integer]) -> float:
    gaps = np.bincount(place, weights=said - happened)
    return float(np.abs(gaps).sum() / len(said))

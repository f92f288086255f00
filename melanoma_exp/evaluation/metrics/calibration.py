"""Calibration: temperature scaling, calibration error and reliability diagrams."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from melanoma_exp.evaluation.metrics.decision import softmax
from melanoma_exp.evaluation.metrics.interval import Bootstrap, Estimate, Floats, stack

LOWEST, HIGHEST = 0.05, 20.0  # separable or meaningless logits have no finite optimum


@dataclass(frozen=True)
class Reliability:
    """Predicted probability against observed frequency.

    Attributes:
        ece_width: Expected calibration error over bins of equal width, 0 to 1.
        ece_mass: The same over bins of equally many images.
        predicted: float64 (k,), mean probability of each bin of equal mass.
        observed: Frequency in each of them, with Wilson's interval.
        images: int64 (k,), in each of them.
    """

    ece_width: float
    ece_mass: float
    predicted: Floats
    observed: Estimate
    images: NDArray[np.int64]


def fit_temperature(logits: Floats, truth: NDArray[np.integer]) -> float:
    """Returns the T for which softmax(logits / T) has the smallest log loss on the images.

    Guo et al., On calibration of modern neural networks, ICML 2017. The loss is convex in 1 / T, so
    the one minimum is found; it is kept within 0.05 and 20. It is 1 where every T gives one loss,
    as for a network that gives all classes of an image the same logit.

    Args:
        logits: float64 (n, c), finite.
        truth: int (n,).
    """
    logits = logits - logits.max(axis=1, keepdims=True)
    if not logits.any():
        return 1.0
    of_truth = logits[np.arange(len(truth)), truth].mean()

    def loss(log_beta: float) -> float:
        beta = np.exp(log_beta)
        return float(np.log(np.exp(beta * logits).sum(axis=1)).mean() - beta * of_truth)

    bounds = (-np.log(HIGHEST), -np.log(LOWEST))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return float(np.exp(-found.x))


def reliability(
    probability: Floats, happened: NDArray[np.bool_], bins: int, bootstrap: Bootstrap
) -> Reliability:
    """Compares predicted probabilities with what happened.

    ECE = sum over bins of (images of the bin / all) |mean probability - frequency|: Naeini et al.,
    AAAI 2015, with bins of equal width; Nguyen and O'Connor, EMNLP 2015, with bins of equal mass.
    Small parts overstate it: the sampling noise of each bin counts as error.

    Args:
        probability: float64 (n,).
        happened: bool (n,), n >= 1.
        bins: Their number; equal probabilities share a bin, so there may be fewer.
        bootstrap: Of the n rows.
    """
    mass = _equal_mass(probability, bins)
    return Reliability(
        _error(probability, happened, np.minimum((probability * bins).astype(int), bins - 1)),
        _error(probability, happened, mass),
        np.array([probability[mass == k].mean() for k in range(mass.max() + 1)]),
        stack([bootstrap.share(happened, mass == k) for k in range(mass.max() + 1)]),
        np.bincount(mass),
    )


def of_classes(
    logits: Floats, truth: NDArray[np.integer], temperature: float, bins: int, bootstrap: Bootstrap
) -> Reliability:
    """Returns the reliability of the most probable class's probability at a temperature."""
    probability = softmax(logits, temperature)
    return reliability(
        probability.max(axis=1), probability.argmax(axis=1) == truth, bins, bootstrap
    )


def _equal_mass(probability: Floats, bins: int) -> NDArray[np.int64]:
    """Returns the bin of each image, numbered without gaps; equal probabilities share a bin."""
    rank = np.searchsorted(np.sort(probability), probability)  # the same for ties
    _, numbered = np.unique(rank * bins // len(probability), return_inverse=True)
    return numbered


def _error(probability: Floats, happened: NDArray[np.bool_], bin_of: NDArray[np.integer]) -> float:
    gaps = np.bincount(bin_of, weights=probability - happened)
    return float(np.abs(gaps).sum() / len(probability))

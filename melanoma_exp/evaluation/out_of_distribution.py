"""Detects out-of-distribution images: those unlike the ones a network was trained on.

Plain statistics of an image - brightness, colour, contrast, sharpness - are compared with those of
the training images by their Mahalanobis distance. The limit is set on the validation images, so
that about `FLAGGED` of images like them are flagged. It needs no network and names what is unusual.

On a network of this project the usual scores of its outputs, the energy score (Liu et al., 2020)
and the Mahalanobis distance of its features (Lee et al., 2018), let most plain, inverted and
text-like pictures pass. A picture that passes may still be one the network knows nothing about.
"""

from dataclasses import asdict, dataclass
from typing import Any

import cv2
import numpy as np

from melanoma_exp.spec import UserError, validate

FLAGGED = 0.015  # share of validation images beyond the limit
SMALLEST = 50  # fewest training and validation images that a limit is fitted on
SAMPLED = 2000  # most images of a part that are used
NAMES = (
    "brightness",
    "red against green",
    "yellow against blue",
    "contrast",
    "variation of red against green",
    "variation of yellow against blue",
    "sharpness",
    "contrast of large areas",
    "centre against edge",
)


@dataclass(frozen=True)
class OutOfDistribution:
    """Image statistics of the training images, and the distance from them that is unusual.

    Attributes:
        names: Of the statistics, as in `NAMES`.
        mean: (9,), in training.
        deviation: (9,), standard deviations in training.
        precision: (9, 9), inverse covariance of the statistics in standard deviations.
        limit: The squared distance above which an image is flagged.
        training: How many images the mean rests on.
        validation: How many images the limit rests on.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    precision: tuple[tuple[float, ...], ...]
    limit: float
    training: int
    validation: int

    def to_dict(self) -> dict[str, Any]:
        """Returns what `from_dict` reads, JSON-serialisable."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "OutOfDistribution":
        """Reads the key `out_of_distribution` of a `decision.json`.

        Raises:
            UserError: It is damaged, or of statistics that this version does not know.
        """
        score = validate(cls, content, "decision.json: out_of_distribution")
        sizes = {len(score.mean), len(score.deviation), *map(len, score.precision)}
        if score.names != NAMES or {*sizes, len(score.precision)} != {len(NAMES)}:
            raise UserError(
                "decision.json: out_of_distribution: its statistics are not those of this version"
            )
        figures = (score.limit, *score.mean, *score.deviation, *np.ravel(score.precision))
        if not np.isfinite(figures).all():
            raise UserError("decision.json: out_of_distribution: holds what is not a number")
        return score

    def distance(self, images: np.ndarray) -> np.ndarray:
        """Returns the squared Mahalanobis distance from the training images, float64 (n,).

        Args:
            images: uint8 (n, h, w, 3).
        """
        return self._squared(self._standardised(images))

    def notes(self, images: np.ndarray) -> list[str]:
        """Returns for each image "", or in which statistics it differs most from training.

        Args:
            images: uint8 (n, h, w, 3).
        """
        away = self._standardised(images)
        return [
            self._describe(row) if far > self.limit else ""
            for row, far in zip(away, self._squared(away), strict=True)
        ]

    def _standardised(self, images: np.ndarray) -> np.ndarray:
        result: np.ndarray = (statistics(images) - self.mean) / self.deviation
        return result

    def _squared(self, away: np.ndarray) -> np.ndarray:
        squared: np.ndarray = np.einsum("ni,ij,nj->n", away, np.array(self.precision), away)
        return squared

    def _describe(self, away: np.ndarray) -> str:
        most = np.argsort(-np.abs(away))[:2]
        largest = ", ".join(f"{NAMES[k]} {away[k]:+.1f} sd" for k in most)
        return f"unlike the training images ({largest})"


def sample(n: int) -> np.ndarray:
    """Returns the rows of a part of `n` images that are used, evenly spread, int64."""
    return np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64)


def statistics(images: np.ndarray) -> np.ndarray:
    """Returns the statistics of `NAMES`, float64 (n, 9); spreads are logarithms.

    They are taken at 96x96 and less: finer sharpness tells how a picture was resized, not what it
    shows.

    Args:
        images: uint8 (n, h, w, 3).
    """
    return np.array([_statistics(image) for image in images]).reshape(len(images), len(NAMES))


def _statistics(image: np.ndarray) -> list[float]:
    small = cv2.resize(image, (96, 96), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    red, green, blue = cv2.split(small)
    light, red_green, yellow_blue = (red + green + blue) / 3, red - green, (red + green) / 2 - blue
    middle = cv2.resize(light, (48, 48), interpolation=cv2.INTER_AREA)
    coarse = cv2.resize(light, (12, 12), interpolation=cv2.INTER_AREA)
    spreads = (light, red_green, yellow_blue, cv2.Laplacian(middle, cv2.CV_32F), coarse)
    return [
        *(float(plane.mean()) for plane in (light, red_green, yellow_blue)),
        *(float(np.log(plane.std() + 1e-3)) for plane in spreads),
        float(coarse[3:9, 3:9].mean() - coarse.mean()),
    ]

"""Flips and quarter turns, which leave every pixel as it is."""

from typing import Literal

import numpy as np

from melanoma_exp.augment.base import Geometric, Policy


class DihedralStep(Geometric):
    """One of the eight flips and quarter turns, all equally likely; no pixel is resampled.

    An image that is not square gets one of the four that keep its shape.
    """

    kind: Literal["dihedral"]

    def draw(self, image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Returns a random variant of an image."""
        return rotated(image, *_draw(image.shape[0], image.shape[1], random))

    def draw_matrix(self, height: int, width: int, random: np.random.Generator) -> np.ndarray:
        """Draws the map of one image, float64 (3, 3)."""
        turns, mirrored = _draw(height, width, random)
        cosine, sine = ((1, 0), (0, 1), (-1, 0), (0, -1))[turns]
        linear = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([1 - 2 * mirrored, 1])
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        matrix = np.eye(3)
        matrix[:2, :2], matrix[:2, 2] = linear, centre - linear @ centre
        return matrix

    @property
    def sampling(self) -> None:
        """None: the map takes every pixel onto another one."""
        return None


class Dihedral(DihedralStep, Policy):
    """One of the eight flips and quarter turns, as a policy."""


def rotated(image: np.ndarray, turns: int, mirrored: bool) -> np.ndarray:
    """Returns an image after quarter turns counter-clockwise, then mirrored left to right.

    Args:
        image: uint8 (height, width, 3).
        turns: 0 to 3.
        mirrored: Whether to mirror.

    Returns:
        uint8, contiguous; the image itself where nothing is asked for.
    """
    import cv2

    if turns:
        codes = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)
        image = cv2.rotate(image, codes[turns - 1])
    return cv2.flip(image, 1) if mirrored else image


def _draw(height: int, width: int, random: np.random.Generator) -> tuple[int, bool]:
    """Draws quarter turns counter-clockwise, and whether to mirror."""
    turns = int(random.integers(4)) if height == width else 2 * int(random.integers(2))
    return turns, bool(random.integers(2))

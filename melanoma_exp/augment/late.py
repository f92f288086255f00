"""Rotates for Augmentor what it keeps, not what it crops away.

Its `rotate` turns the whole image on a larger canvas, crops the middle and enlarges that. `Image`
stands in for the image it is given: it hears of the rotation, waits for the crop and then computes
that part alone. Angles, sizes and pixels are Augmentor's and Pillow's own.
"""

from collections.abc import Sequence
from typing import Any

import PIL.Image


class Image:
    """An image that answers what Augmentor's RotateRange asks of one.

    Attributes:
        size: Width and height in pixels.
    """

    def __init__(self, image: PIL.Image.Image) -> None:
        """Stands in for an image."""
        self._image, self.size = image, image.size

    def rotate(self, *angle: Any, **options: Any) -> Any:
        """Lets Pillow find the map of the rotation; it ends in `transform`, or in `copy`."""
        return PIL.Image.Image.rotate(self, *angle, **options)  # type: ignore[arg-type]

    def copy(self) -> PIL.Image.Image:
        """Returns the image; asked for where the angle is 0."""
        return self._image.copy()

    def transform(
        self, size: tuple[int, int], method: Any, data: Sequence[float], resample: Any, **_: Any
    ) -> "Pending":
        """Returns the rotated image, not computed yet."""
        return Pending(self._image, size, method, data, resample)


class Pending:
    """A rotated image of which only a part will be asked for."""

    def __init__(
        self,
        image: PIL.Image.Image,
        size: tuple[int, int],
        method: Any,
        data: Sequence[float],
        resample: Any,
    ) -> None:
        """Takes what `PIL.Image.Image.transform` takes."""
        self._image, self.size = image, size
        self._method, self._data, self._resample = method, data, resample

    def crop(self, box: tuple[int, int, int, int]) -> PIL.Image.Image:
        """Computes the part within left, upper, right and lower pixel."""
        left, upper, right, lower = box
        a, b, c, d, e, f = self._data
        moved = (a, b, a * left + b * upper + c, d, e, d * left + e * upper + f)
        size = (right - left, lower - upper)
        return self._image.transform(size, self._method, moved, self._resample)

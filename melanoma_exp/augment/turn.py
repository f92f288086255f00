"""What a rotation of Augmentor asks for, without computing it.

Its `rotate` turns the whole image on a larger canvas, crops the middle and enlarges that. `plan`
lets it do so to a stand-in without pixels, which takes down what is asked of it. The angle, the
canvas and the box are therefore Augmentor's and Pillow's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import PIL.Image
from Augmentor.Operations import RotateRange

BICUBIC = PIL.Image.Resampling.BICUBIC


@dataclass(frozen=True)
class Turn:
    """A rotation of which a part is kept.

    Attributes:
        matrix: (a, b, c, d, e, f): a place (x, y) of the canvas shows the place
            (a x + b y + c, d x + e y + f) of the image, in pixels from their upper left corners.
        box: Left, upper, right and lower edge of the part on the canvas, in pixels.
    """

    matrix: tuple[float, ...]
    box: tuple[int, int, int, int]


def plan(operation: RotateRange, size: tuple[int, int]) -> Turn | None:
    """Draws an angle from the global generator, as the operation does.

    Args:
        operation: Draws the angle and finds the part to keep.
        size: Width and height of the image in pixels.

    Returns:
        The rotation, to be enlarged to `size`; nothing where the angle is 0.

    Raises:
        ValueError: Nothing of so small or so long an image would be kept.
    """
    (canvas,) = operation.perform_operation([_Canvas(size)])
    return None if canvas.matrix is None else Turn(canvas.matrix, canvas.box)


class _Canvas:
    """Answers what a rotation asks of an image."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.size = size
        self.matrix: tuple[float, ...] | None = None
        self.box = (0, 0, 0, 0)

    def rotate(self, *angle: Any, **options: Any) -> Any:
        # Pillow finds the matrix and the canvas; it ends in `transform`, or in `copy`.
        return PIL.Image.Image.rotate(self, *angle, **options)  # type: ignore[arg-type]

    def copy(self) -> Self:
        return self

    def transform(
        self, size: tuple[int, int], method: Any, data: Sequence[float], resample: Any, **_: Any
    ) -> Self:
        assert method == PIL.Image.Transform.AFFINE and resample == BICUBIC
        self.size, self.matrix = size, tuple(data)
        return self

    def crop(self, box: tuple[int, int, int, int]) -> Self:
        left, upper, right, lower = self.box = box
        if left >= right or upper >= lower:
            raise ValueError(f"a rotation keeps nothing of an image this small (box {box})")
        return self

    def resize(self, size: tuple[int, int], resample: Any) -> Self:
        assert resample == BICUBIC
        return self

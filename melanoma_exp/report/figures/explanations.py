"""The figure of Grad-CAM: where a model looked, and where the same net looks untaught."""

import math
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melanoma_exp.report.figures.style import (
    BODY,
    GREY,
    SMALL,
    TINY,
    TITLE,
    WIDTH,
    new_figure,
    plain_axes,
    wrap,
)

COLUMNS = 6


def explanations(
    images: NDArray[np.uint8],
    maps: NDArray[np.floating[Any]],
    randomised: NDArray[np.floating[Any]],
    titles: Sequence[str],
    ids: Sequence[str],
    title: str,
) -> Figure:
    """Draw images in three rows: alone, with the map of the model, with that of random weights.

    Args:
        images: Shape (n, h, w, 3), uint8, n >= 1.
        maps: Shape (n, h, w), 0 to 1; one without anything above 0 is marked as empty.
        randomised: Shape (n, h, w), 0 to 1.
        titles: n lines above the images.
        ids: n names of the images, below them.
        title: What they are.

    Raises:
        ValueError: The lengths differ.
    """
    if not len(images) == len(maps) == len(randomised) == len(titles) == len(ids):
        raise ValueError("images, maps, titles and ids differ in length")
    columns = min(COLUMNS, len(images))
    blocks = math.ceil(len(images) / columns)
    side = (WIDTH - 0.6) / COLUMNS
    above = [wrap(text, side - 0.05, SMALL) for text in titles]
    lines = max(text.count("\n") for text in above) + 2
    height = blocks * (3 * side * images.shape[1] / images.shape[2] + lines * SMALL / 50) + 0.4
    figure = new_figure(columns * side + 0.6, height, fixed_aspect=True)
    grid = figure.subplots(3 * blocks, columns, squeeze=False)
    for axes in grid.flat:
        plain_axes(axes, frame=())
        axes.set(xticks=[], yticks=[], facecolor="none")
    for k, image in enumerate(images):
        first, column = 3 * (k // columns), k % columns
        for row, shown in enumerate((image, _over(image, maps[k]), _over(image, randomised[k]))):
            grid[first + row, column].imshow(shown, interpolation="auto")
        for row, heat in ((1, maps[k]), (2, randomised[k])):
            if not heat.any():
                grid[first + row, column].text(
                    0.5,
                    0.04,
                    "empty",
                    ha="center",
                    fontsize=TINY,
                    color="white",
                    transform=grid[first + row, column].transAxes,
                )
        grid[first, column].set_title(above[k], fontsize=SMALL, pad=3)
        grid[first + 2, column].set_xlabel(
            wrap(ids[k], side - 0.05, TINY), fontsize=TINY, color=GREY, labelpad=2
        )
    for block in range(blocks):
        for row, name in enumerate(("image", "Grad-CAM", "random net")):
            grid[3 * block + row, 0].set_ylabel(name, fontsize=BODY)
    figure.suptitle(wrap(title, columns * side + 0.4, TITLE), fontsize=TITLE)
    return figure


def _over(image: NDArray[np.uint8], heat: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Return the image in grey under the map in colour."""
    grey = image.mean(axis=-1, keepdims=True)
    colour = 255 * matplotlib.colormaps["inferno"](heat)[..., :3]
    return (0.55 * grey + 0.45 * colour).astype(np.uint8)

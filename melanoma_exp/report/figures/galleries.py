"""Figures made of images: examples, augmented draws and mistakes.

Images are uint8 arrays of values 0 to 255, of any one size from about 64 to 600 pixels a side.
They are indexed one at a time, so memory-mapped arrays are read only where something is drawn.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from melanoma_exp.report.figures.style import (
    BLUE,
    BODY,
    FAINT,
    GREY,
    SMALL,
    TINY,
    TITLE,
    WIDTH,
    new_figure,
    plain_axes,
    wrap,
    write_in,
)

_LINE = 1.25 / 72  # inches a line of text takes, per point of its size


def examples(
    images: NDArray[np.uint8], labels: NDArray[np.integer[Any]], classes: Sequence[str]
) -> Figure:
    """Draw one example of each class, named by its title.

    Args:
        images: Shape (n, h, w, 3), uint8.
        labels: Shape (n,), the class index of each image, 0 to c - 1. The first image of a class
            is drawn; a class without any gets an empty field that says so.
        classes: The c class names.

    Raises:
        ValueError: The shapes or dtype are not as stated.
    """
    _check(images, len(labels), 4)
    rows = math.ceil(len(classes) / 5)
    columns = math.ceil(len(classes) / rows)
    side = min(WIDTH / columns, 1.7)
    titles = [wrap(name, side - 0.1, BODY) for name in classes]
    figure, grid = _grid(rows, columns, side, images.shape, _height(titles, columns, BODY))
    for index, axes in enumerate(grid.flat[: len(classes)]):
        found = np.flatnonzero(np.asarray(labels) == index)
        if found.size:
            _show(axes, images[found[0]])
        else:
            axes.set_box_aspect(images.shape[1] / images.shape[2])
            axes.set_facecolor(FAINT)
            write_in(axes, "no image", SMALL)
        axes.set_title(titles[index], fontsize=BODY, pad=3)
    return figure


def augmentation_preview(originals: NDArray[np.uint8], draws: NDArray[np.uint8]) -> Figure:
    """Draw augmented versions of images beside the framed originals, one row an original.

    Args:
        originals: Shape (n, h, w, 3), uint8, n at least 1.
        draws: Shape (n, k, h, w, 3), uint8, k at least 1: k draws of each original.

    Raises:
        ValueError: The shapes or dtypes are not as stated.
    """
    _check(originals, len(draws), 4)
    _check(draws, len(originals), 5)
    columns = draws.shape[1] + 1
    side = min(WIDTH / columns, 1.4)
    figure, grid = _grid(len(originals), columns, side, originals.shape, 0.2)
    for row, original in zip(grid, originals, strict=True):
        _show(row[0], original)
        plain_axes(row[0], frame=("left", "right", "top", "bottom"))
        for spine in row[0].spines.values():
            spine.set(edgecolor=BLUE, linewidth=2)
    for row, drawn in zip(grid, draws, strict=True):
        for axes, image in zip(row[1:], drawn, strict=True):
            _show(axes, image)
    grid[0, 0].set_title("original", fontsize=BODY, color=BLUE, fontweight="bold", pad=4)
    for index, axes in enumerate(grid[0, 1:], start=1):
        axes.set_title(f"draw {index}", fontsize=BODY, pad=4)
    return figure


def mistakes(
    images: NDArray[np.uint8],
    ids: Sequence[str],
    truth: NDArray[np.integer[Any]],
    predicted: NDArray[np.integer[Any]],
    probabilities: NDArray[np.floating[Any]],
    classes: Sequence[str],
    title: str,
    count: int = 12,
) -> Figure:
    """Draw the wrongly classified images the model was surest about, the surest first.

    Each is titled with its true class, the predicted class and the probability given to the
    latter; below it stands its id. Without any mistake the figure says so.

    Args:
        images: Shape (n, h, w, 3), uint8; only the images drawn are read.
        ids: n names of the images.
        truth: Shape (n,), the true class index of each image, 0 to c - 1.
        predicted: Shape (n,), the predicted class index of each image, 0 to c - 1.
        probabilities: Shape (n, c), floats 0 to 1.
        classes: The c class names.
        title: What was classified.
        count: The most images to draw, at least 1.

    Raises:
        ValueError: The shapes or dtype are not as stated.
    """
    truth, predicted = np.asarray(truth), np.asarray(predicted)
    total = len(truth)
    _check(images, total, 4)
    if not (len(ids) == len(predicted) == total and probabilities.shape == (total, len(classes))):
        raise ValueError("ids, truth, predicted and probabilities differ in length")
    if count < 1:
        raise ValueError(f"count is {count}, not at least 1")
    wrong = np.flatnonzero(truth != predicted)
    if not wrong.size:
        return _statement(f"{title}, no mistakes: all {total} images classified correctly")
    certainty = probabilities[wrong, predicted[wrong]]
    order = np.argsort(-certainty, kind="stable")[:count]

    columns = 4
    side = WIDTH / columns
    titles = [
        wrap(classes[truth[index]], side - 0.1, SMALL)
        + "\n"
        + wrap(f"→\u00a0{classes[predicted[index]]}\u00a0{_sure(sure)}", side - 0.1, SMALL)
        for index, sure in zip(wrong[order], certainty[order], strict=True)
    ]
    captions = [wrap(ids[index], side - 0.1, TINY) for index in wrong[order]]
    rows = math.ceil(len(titles) / columns)
    text = _height(titles, columns, SMALL) + _height(captions, columns, TINY) + 0.05 * rows + 0.25
    figure, grid = _grid(rows, columns, side, images.shape, text)
    for axes, index, head, caption in zip(grid.flat, wrong[order], titles, captions, strict=False):
        _show(axes, images[index])
        axes.set_title(head, fontsize=SMALL, pad=3)
        axes.set_xlabel(caption, fontsize=TINY, color=GREY, labelpad=2)
    figure.suptitle(
        f"{title}, {len(titles)} most confident of {wrong.size} mistakes ({total} images):"
        " true → predicted, probability",
        fontsize=TITLE,
    )
    return figure


def _sure(probability: float) -> str:
    """Return two digits; what is short of certain is not written as certain."""
    return ">0.99" if 0.995 <= probability < 1 else f"{probability:.2f}"


def _check(images: NDArray[np.uint8], count: int, dimensions: int) -> None:
    if images.ndim != dimensions or images.shape[-1] != 3 or images.dtype != np.uint8:
        raise ValueError(
            f"images are {images.dtype} of shape {images.shape},"
            f" not uint8 RGB of {dimensions} dimensions"
        )
    if len(images) != count:
        raise ValueError(f"{len(images)} images, but {count} entries that describe them")


def _grid(
    rows: int, columns: int, side: float, shape: tuple[int, ...], text: float
) -> tuple[Figure, NDArray[Any]]:
    """Make a figure of blank fields `side` inches wide that has `text` inches of writing."""
    height = rows * side * shape[-3] / shape[-2] + text
    figure = new_figure(columns * side, height, fixed_aspect=True)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        plain_axes(axes, frame=())
        axes.set(xticks=[], yticks=[], facecolor="none")
    return figure, grid


def _show(axes: Axes, image: NDArray[np.uint8]) -> None:
    # Smooths when shrinking, keeps the pixels of small images visible when enlarging.
    axes.imshow(image, interpolation="auto")


def _height(titles: list[str], columns: int, points: float) -> float:
    """Return the inches that writing one text a field takes, summed over the rows."""
    rows = [titles[start : start + columns] for start in range(0, len(titles), columns)]
    lines = [max(title.count("\n") for title in row) + 1 for row in rows]
    return sum(lines) * points * _LINE


def _statement(text: str) -> Figure:
    figure = new_figure(WIDTH, 1.0)
    figure.text(0.5, 0.5, text, ha="center", va="center", fontsize=TITLE)
    return figure

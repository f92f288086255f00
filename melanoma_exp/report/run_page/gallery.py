"""The images of a part by what was predicted for them, worst mistakes first, with thumbnails."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.system import shown
from melanoma_exp.system.html import data_uri

FIRST = ("id", "source", "group", "label", "predicted")
WORST = 32  # mistakes of a part that are shown before a cell is chosen
SIDE = 128  # pixels of a thumbnail
BUDGET = 3_500_000  # bytes of all thumbnails of a page; what is over it is shown without
Thumbnails = Callable[[Sequence[str]], Mapping[str, str]]


@dataclass(frozen=True)
class Shown:
    """One image on the page.

    Attributes:
        id: Of the image.
        source: The same, but for a synthetic one that of its original.
        label: Of its class.
        predicted: Likewise.
        of_label: Plain probability of its class.
        of_predicted: That of the predicted one.
        alert: Calibrated probability of the alert, None where it has none.
        alerted: Whether the alert fired.
    """

    id: str
    source: str
    label: int
    predicted: int
    of_label: float
    of_predicted: float
    alert: float | None
    alerted: bool

    @property
    def pair(self) -> str:
        """Names the cell of the matrix."""
        return f"{self.label}-{self.predicted}"

    @property
    def right(self) -> bool:
        """Whether the prediction is the label."""
        return self.label == self.predicted


@dataclass(frozen=True)
class Gallery:
    """The predictions of a part.

    Attributes:
        count: Images by label and prediction, int (classes, classes).
        images: Those that are shown, mistakes first, the most confident ones first; of correct
            predictions the least confident ones first.
        shown: Of each cell that has any, how many are shown.
    """

    count: Sequence[Sequence[int]]
    images: Sequence[Shown]
    shown: Mapping[str, int]

    @property
    def mistakes(self) -> int:
        """How many images were predicted wrong."""
        return sum(n for k, row in enumerate(self.count) for m, n in enumerate(row) if k != m)


def read(text: str, classes: Sequence[str], most: int) -> Gallery:
    """Reads a `predictions_<part>.csv` and chooses what is shown: some of each cell.

    Args:
        text: Of the file.
        classes: Of the run, in order.
        most: Images to show.

    Raises:
        ValueError: The table is not of this form.
        KeyError: Likewise.
    """
    lines = shown.rows(text)
    head = next(lines, [])
    before = len(FIRST)
    if head[: before + len(classes)] != [*FIRST, *classes]:
        raise ValueError(f"its columns do not begin with {', '.join([*FIRST, *classes])}")
    label_of = {name: k for k, name in enumerate(classes)}
    after = {name: k for k, name in enumerate(head) if k >= before + len(classes)}
    rows = [_row(row, label_of, after) for row in lines]
    count = np.zeros((len(classes), len(classes)), int)
    for one in rows:
        count[one.label, one.predicted] += 1
    rows.sort(key=lambda one: (one.right, one.of_label - one.of_predicted, one.of_label, one.id))
    seen: Counter[str] = Counter()
    ranks = []
    for one in rows:
        ranks.append(seen[one.pair])
        seen[one.pair] += 1
    # The worst mistakes, then as many of each cell as there is room for.
    worst = min(WORST, most // 2)
    order = sorted(range(len(rows)), key=lambda k: (k >= worst, ranks[k], k))[:most]
    images = [rows[k] for k in sorted(order)]
    return Gallery(count.tolist(), images, Counter(one.pair for one in images))


def _row(row: Sequence[str], label_of: Mapping[str, int], after: Mapping[str, int]) -> Shown:
    label, predicted = label_of[row[3]], label_of[row[4]]
    alert = row[after["alert_probability"]] if "alert_probability" in after else ""
    return Shown(
        row[0],
        row[1],
        label,
        predicted,
        float(row[len(FIRST) + label]),
        float(row[len(FIRST) + predicted]),
        float(alert) if alert else None,
        "alert" in after and row[after["alert"]] == "true",
    )


def thumbnails(data: LoadedDataset) -> Thumbnails:
    """Returns what gives data URIs of images of a set, by source, as the network saw them.

    Args:
        data: The set, known to be the run's.
    """
    row_of = dict(zip(data.samples.source.tolist(), data.samples.image.tolist(), strict=True))

    def make(sources: Sequence[str]) -> dict[str, str]:
        found: dict[str, str] = {}
        room = BUDGET
        for source in dict.fromkeys(sources):
            if source in row_of:
                uri = data_uri(data.pixels[row_of[source]], SIDE)
                room -= len(uri)
                if room < 0:
                    break
                found[source] = uri
        return found

    return make


def options(gallery: Gallery, classes: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the cells that have images, mistakes by falling number, then correct ones."""
    cells = [
        {
            "pair": f"{k}-{m}",
            "label": classes[k],
            "predicted": classes[m],
            "count": n,
            "right": k == m,
        }
        for k, row in enumerate(gallery.count)
        for m, n in enumerate(row)
        if n
    ]
    return sorted(cells, key=lambda cell: (cell["right"], -cell["count"]))

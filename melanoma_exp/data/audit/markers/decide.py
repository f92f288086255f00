"""Which images have which marker: limits on what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from melanoma_exp.data.audit.markers import off_topic
from melanoma_exp.data.audit.markers.measured import Measured

OFF_TOPIC, TEXT, FRAME, CORNERS = "off topic", "text", "frame", "dark corners"
RULER, INK = "ruler", "ink"
MARKERS = {
    OFF_TOPIC: "pictures that seem to show no skin; look at them",
    TEXT: "characters side by side: text, may name a person",
    FRAME: "an even bar along a side",
    CORNERS: "two corners or more that are black or in shade",
    RULER: "three ticks of a ruler or more",
    INK: "blue, violet or green marker pen beside the lesion",
}
SIDES = ("top", "bottom", "left", "right")
SHADED, BLACK = 0.45, 0.25  # lightness of the second darkest corner, of the picture beside it
INKED = 0.0009  # share of the picture


@dataclass(frozen=True)
class Hit:
    """A marker in an image.

    Attributes:
        row: Among the images that were measured.
        detail: What sort of it, the same words for the same sort.
        note: What is particular about this one.
    """

    row: int
    detail: str
    note: str


def decide(measured: Measured, marker: str) -> list[Hit]:
    """Returns the images that have a marker, the clearest first.

    Args:
        measured: Of all images of the set.
        marker: One of `MARKERS`.
    """
    return _DECIDED[marker](measured)


def _off_topic(measured: Measured) -> list[Hit]:
    why, distance = off_topic.which(measured.plain, measured.look)
    rows = np.flatnonzero(why != "")
    by_rule = why[rows] != off_topic.UNLIKE
    order = np.lexsort((-distance[rows], ~by_rule))
    notes = [f"distance {d:.0f} from the set, limit {off_topic.FAR:g}" for d in distance]
    return [Hit(k, str(why[k]), notes[k]) for k in rows[order].tolist()]


def _text(measured: Measured) -> list[Hit]:
    found = measured.characters
    return [
        Hit(k, "text, may name a person", f"{found[k]:.0f} characters in a line")
        for k in _clearest(found, found > 0)
    ]


def _frame(measured: Measured) -> list[Hit]:
    widest = measured.frame.max(axis=1)
    return [
        Hit(
            k,
            "at " + ", ".join(np.array(SIDES)[measured.frame[k] > 0]),
            f"up to {widest[k]:.1%} of the picture wide",
        )
        for k in _clearest(widest, widest > 0)
    ]


def _corners(measured: Measured) -> list[Hit]:
    second = np.sort(measured.corners, axis=1)[:, 1]
    return [
        Hit(
            k,
            "black" if second[k] <= BLACK else "in shade",
            f"{(measured.corners[k] <= SHADED).sum()} corners",
        )
        for k in _clearest(-second, second <= SHADED)
    ]


def _ruler(measured: Measured) -> list[Hit]:
    found = measured.ticks
    return [
        Hit(k, "ticks of a ruler", f"{found[k]:.0f} ticks") for k in _clearest(found, found > 0)
    ]


def _ink(measured: Measured) -> list[Hit]:
    found = measured.ink
    rows = _clearest(found, found >= INKED)
    return [Hit(k, "marker pen", f"{found[k]:.1%} of the picture") for k in rows]


def _clearest(strength: np.ndarray, has: np.ndarray) -> Sequence[int]:
    rows = np.flatnonzero(has)
    order: list[int] = rows[np.argsort(-strength[rows], kind="stable")].tolist()
    return order


_DECIDED = {
    OFF_TOPIC: _off_topic,
    TEXT: _text,
    FRAME: _frame,
    CORNERS: _corners,
    RULER: _ruler,
    INK: _ink,
}

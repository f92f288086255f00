"""The predictions of a run, read back from its tables."""

import csv
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from melanoma_exp.spec import UserError
from melanoma_exp.system import shown
from melanoma_exp.tracking.archive import Archive, StoredRun

FIRST = ("id", "source", "group", "label", "predicted")
PARTS = {"val": "validation", "test": "test", "external": "the other set"}
OWN = ("val", "test")  # of a run itself; the other is of the set that it was judged on


@dataclass(frozen=True)
class Predictions:
    """One run's predictions on one part, sorted by id.

    Attributes:
        ids: str (n,).
        group: str (n,), images of one lesion share it.
        label: int64 (n,), index into the run's classes.
        predicted: int64 (n,), as the run decided.
        probability: float64 (n, classes), not calibrated.
    """

    ids: np.ndarray
    group: np.ndarray
    label: np.ndarray
    predicted: np.ndarray
    probability: np.ndarray

    @property
    def images(self) -> tuple[bytes, bytes]:
        """Equal for equal images with equal labels."""
        return self.ids.tobytes(), self.label.tobytes()

    def only(self, ids: Collection[str]) -> "Predictions":
        """Returns the rows of some images."""
        rows = np.isin(self.ids, list(ids))
        columns = (self.ids, self.group, self.label, self.predicted, self.probability)
        return Predictions(*(column[rows] for column in columns))


@dataclass(frozen=True)
class Evaluated:
    """A run with its predictions by part."""

    stored: StoredRun
    classes: tuple[str, ...]
    parts: Mapping[str, Predictions]

    def metric(self, key: str) -> float:
        """Returns the last value of a metric, NaN where it was not logged."""
        return self.stored.metrics.get(key, float("nan"))


def read(archive: Archive, run: StoredRun) -> Evaluated:
    """Reads the predictions of a run.

    Raises:
        UserError: A table is missing or damaged, named with what is wrong.
    """
    try:
        table = shown.records(archive.text(run, "classes_val.csv"))
        classes = tuple(row["class"] for row in table)
        wanted = [part for part in OWN if part == "val" or run.metrics.get("test_images", 0)]
        parts = {}
        for part in wanted:
            parts[part] = parse(archive.text(run, f"predictions_{part}.csv"), classes)
        return Evaluated(run, classes, parts)
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(f"run {run.id}: its table of predictions is damaged: {error}") from error


def read_judged(archive: Archive, run: StoredRun, judged: StoredRun) -> Evaluated:
    """Reads the predictions of a run on another set.

    Args:
        archive: Where both are recorded.
        run: The run.
        judged: Its evaluation on that set.

    Returns:
        The run with the metrics of that evaluation and its one part.

    Raises:
        UserError: A table is missing or damaged, named with what is wrong.
    """
    own = read(archive, run)
    try:
        part = parse(archive.text(judged, "predictions_external.csv"), own.classes)
    except (ValueError, KeyError, csv.Error) as error:
        raise UserError(f"run {judged.id}: its table of predictions is damaged: {error}") from error
    leaky = {"leaky": "true"} if "true" in (run.tags["leaky"], judged.tags["leaky"]) else {}
    metrics = {k: v for k, v in run.metrics.items() if not k.startswith(("final/", "leak/"))}
    stored = replace(run, tags={**run.tags, **leaky}, metrics={**metrics, **judged.metrics})
    return Evaluated(stored, own.classes, {"external": part})


def common(found: Sequence[Evaluated], part: str) -> list[Evaluated]:
    """Returns runs with those images of a part alone that all of them have."""
    ids = set.intersection(*(set(run.parts[part].ids.tolist()) for run in found))
    return [replace(run, parts={part: run.parts[part].only(ids)}) for run in found]


def parse(text: str, classes: tuple[str, ...]) -> Predictions:
    """Reads the text of a `predictions_*.csv`.

    Args:
        text: Of the file.
        classes: The columns of plain probabilities, in order.

    Raises:
        ValueError: The columns are others, a value is not a number or a label not a class.
        KeyError: Likewise.
    """
    lines = shown.rows(text)
    # By position: a class may be called like another column, and metadata may follow.
    head, expected = next(lines, []), [*FIRST, *classes]
    if head[: len(expected)] != expected:
        raise ValueError(f"its columns do not begin with {', '.join(expected)}")
    rows = list(lines)
    if not rows or any(len(row) != len(head) for row in rows):
        raise ValueError("it is empty or truncated")
    column = {name: k for k, name in enumerate(FIRST)}
    label_of = {name: label for label, name in enumerate(classes)}
    ids = np.array([row[column["id"]] for row in rows], dtype=str)
    order = np.argsort(ids)
    label, predicted = (
        np.array([label_of[row[column[name]]] for row in rows], np.int64)
        for name in ("label", "predicted")
    )
    group = np.array([row[column["group"]] for row in rows], dtype=str)
    probability = np.array([row[len(FIRST) : len(expected)] for row in rows]).astype(np.float64)
    columns = (ids, group, label, predicted, probability)
    return Predictions(*(column[order] for column in columns))

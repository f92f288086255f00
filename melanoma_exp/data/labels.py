"""Settles the label of an image where sources disagree, and which images are left out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError

Labels = Literal["folder", "verified"]
Conflicts = Literal["keep", "drop", "rarest", "official"]
Confirmed = Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Chosen:
    """Samples after the choices, one sentence per choice, and how many images each affected."""

    samples: Samples
    notes: tuple[str, ...]
    affected: dict[str, int]


def choose(
    samples: Samples,
    identity: np.ndarray,
    confirmed: Confirmed,
    labels: Labels,
    conflicts: Conflicts,
) -> Chosen:
    """Gives every image its label and leaves out what the choices leave out.

    Args:
        samples: All readable images.
        identity: str (n,), rows of one image share it.
        confirmed: The classes the official label of each row may be under, its own name first;
            empty where there is none.
        labels: `verified` takes the official label, leaves out images without one and counts an
            image that lies there several times once, in the test part if one copy is there.
        conflicts: What becomes of images that have two labels. `drop` leaves out every copy,
            `rarest` keeps those of the class with the fewest training images, `official` keeps
            those whose label agrees with the official one.

    Raises:
        UserError: A choice needs official labels and there are none.
    """
    for key, choice in (("labels", labels), ("conflicts", conflicts)):
        if choice in ("verified", "official") and not any(confirmed):
            raise UserError(
                f"dataset.{key}={choice}: needs official labels and the dataset has none; a CSV "
                "gives them (dataset.csv, dataset.official_column, dataset.official_classes)"
            )
    notes: list[str] = []
    affected = {"images_without_official_label": 0, "copies_left_out": 0}
    rows = np.arange(len(samples))
    if labels == "verified":
        samples, rows, affected, note = _verified(samples, identity, confirmed)
        notes.append(note)
    identity, confirmed = identity[rows], [confirmed[row] for row in rows.tolist()]
    stay, in_conflict = _settled(samples, identity, confirmed, conflicts)
    out = ~stay
    affected["images_with_two_labels"] = int(in_conflict.sum())
    affected["conflicts_left_out"] = int(out.sum())
    if in_conflict.any():
        images = len(set(identity[in_conflict]))
        tests = int((samples.official[out] == "test").sum())
        notes.append(
            f"dataset.conflicts={conflicts}: images under two labels: {images} "
            f"({in_conflict.sum()} files); left out: {out.sum()} files"
            + (f", {tests} of them from the official test part" if tests else "")
        )
    return Chosen(samples.take(stay), tuple(notes), affected)


def _verified(
    samples: Samples, identity: np.ndarray, confirmed: Confirmed
) -> tuple[Samples, np.ndarray, dict[str, int], str]:
    """Returns relabelled rows, which of the given ones they are, the counts and the sentence."""
    known = np.array([bool(names) for names in confirmed])
    names = [label[0] if label else "" for label in confirmed]
    # Copies in the test part first, so that they are the ones to stay.
    order = np.lexsort((np.arange(len(samples)), samples.official != "test"))
    first: dict[tuple[str, str], int] = {}
    for row in order[known[order]]:
        first.setdefault((str(identity[row]), names[row]), int(row))
    rows = np.array(sorted(first.values()), np.int64)
    classes = tuple(sorted({names[row] for row in rows}))
    label = np.array([classes.index(names[row]) for row in rows], np.int64)
    affected = {
        "images_without_official_label": int((~known).sum()),
        "copies_left_out": int(known.sum()) - len(rows),
    }
    note = (
        f"dataset.labels=verified: {len(rows)} images in {len(classes)} classes; left out "
        f"{affected['images_without_official_label']} files without an official label and "
        f"{affected['copies_left_out']} further copies of an image"
    )
    return replace(samples.take(rows), classes=classes, label=label), rows, affected, note


def _settled(
    samples: Samples, identity: np.ndarray, confirmed: Confirmed, conflicts: Conflicts
) -> tuple[np.ndarray, np.ndarray]:
    """Returns bool (n,) twice: the rows that stay, and those of images with two labels."""
    _, image = np.unique(identity, return_inverse=True)
    first = np.full(image.max(initial=-1) + 1, -1)
    first[image[::-1]] = samples.label[::-1]
    differs = np.zeros(len(first), bool)
    differs[image[samples.label != first[image]]] = True
    in_conflict = differs[image]
    if conflicts == "keep":
        return np.ones(len(samples), bool), in_conflict
    if conflicts == "drop":
        return ~in_conflict, in_conflict
    if conflicts == "official":
        agrees = np.array(
            [samples.classes[k] in names for k, names in zip(samples.label, confirmed, strict=True)]
        )
        return agrees | ~in_conflict, in_conflict
    counts = samples.take(samples.official == "train").counts()
    rank = np.argsort(np.lexsort((np.arange(len(counts)), counts)))[samples.label]
    rarest = np.full(len(first), len(counts))
    np.minimum.at(rarest, image, rank)
    return (rank == rarest[image]) | ~in_conflict, in_conflict

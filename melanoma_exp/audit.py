"""Faults in the data that no training curve shows: what is doubled, contradictory or unreadable.

A finding is reported, never mended here. Decoding and grouping are the dataset's matter; this
module only reads what it found out.
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.dataset.groups import image_id, is_isic_id
from melanoma_exp.samples import Samples

KINDS = {
    "unreadable": "files that cannot be decoded",
    "two labels": "byte-identical files or equal image ids under different labels",
    "train and test": "byte-identical files or equal image ids in the official train and test part",
    "doubled": "byte-identical files or equal image ids within one class and part",
}


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: One of `KINDS`.
        ids: The images it is about.
        labels: Their labels, in the same order.
        detail: What makes it one.
    """

    kind: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    detail: str


def find(samples: Samples, file_digests: Sequence[str], skipped: Iterable[str]) -> list[Finding]:
    """Returns all findings, gravest first.

    An image may be in two: one in train under one label and in test under another is both.

    Args:
        samples: All readable images.
        file_digests: SHA-256 of the file of each `samples.image`.
        skipped: Names of the unreadable files with the reason.
    """
    findings = [Finding("unreadable", (name,), ("",), "") for name in skipped]
    stems = [Path(str(source)).stem for source in samples.source]
    # Names like `001` say nothing: other folders may have another picture of that name.
    ids = [image_id(stem) if is_isic_id(image_id(stem)) else "" for stem in stems]
    same_bytes = _rows_by([file_digests[image] for image in samples.image])
    seen = set(same_bytes)
    same_id = [rows for rows in _rows_by(ids) if rows not in seen]
    for detail, groups in (("byte-identical", same_bytes), ("same image id", same_id)):
        for rows in groups:
            picked = samples.take(np.array(rows))
            names = tuple(map(str, picked.source))
            labels = tuple(samples.classes[label] for label in picked.label)
            crosses = len(set(picked.official.tolist())) > 1
            kinds = [
                *(["two labels"] if len(set(labels)) > 1 else []),
                *(["train and test"] if crosses else []),
            ]
            for kind in kinds or ["doubled"]:
                findings.append(Finding(kind, names, labels, detail))
    return sorted(findings, key=lambda f: (list(KINDS).index(f.kind), f.detail, f.ids))


def write_csv(findings: Iterable[Finding], path: Path) -> None:
    """Writes a row a finding; several ids and labels are joined by ` | `."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["kind", "detail", "ids", "labels"])
        for f in findings:
            writer.writerow([f.kind, f.detail, " | ".join(f.ids), " | ".join(f.labels)])


def _rows_by(keys: Iterable[str]) -> list[tuple[int, ...]]:
    """Returns the rows of every key that more than one row has; an empty key is none."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, key in enumerate(keys):
        if key:
            rows[key].append(row)
    return [tuple(group) for group in rows.values() if len(group) > 1]

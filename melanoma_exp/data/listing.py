"""The images of a dataset and what is known of them before any is opened."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from melanoma_exp.data import class_names
from melanoma_exp.data.cells import known
from melanoma_exp.data.groups import unite
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import UserError


@dataclass(frozen=True)
class Listing:
    """Image files and what is known of them before any is opened.

    Attributes:
        samples: Row k is `paths[k]`, and so is image k; labels are the folders' or the CSV's.
        paths: The files.
        notes: One sentence for each thing a reader should know.
        lesions: The lesion of each row, "" where unknown.
        image_ids: The id of each row that names one image wherever it lies, "" where its name
            says nothing.
        confirmed: The classes that the official label of each row may be under, its own name
            first; empty where there is no official label.
        published: Published counts by part and class, empty where none are known.
        metadata: For each source id that has any, further columns (age, sex, site, ...); "" where
            unknown.
        groups: By column what else ties images (the patient), for each row, "" where unknown.
    """

    samples: Samples
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    lesions: tuple[str, ...]
    image_ids: tuple[str, ...]
    confirmed: tuple[tuple[str, ...], ...]
    published: Mapping[str, Mapping[str, int]]
    metadata: Mapping[str, Mapping[str, str]]
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """One image file, as a dataset names it.

    Attributes:
        path: The file.
        source: Names the image within the dataset, unlike any other.
        label: Its class.
        lesion: Images of one lesion stay on one side of a split; "" or a word for unknown where it
            is not known.
        official: `train`, `val` or `test`.
        image_id: Names one image wherever it is, "" where the name says nothing.
        metadata: Further columns (age, sex, site, ...).
        confirmed: The classes that its official label may be under, its own name first; empty where
            there is no official label.
        groups: By column what else ties images (the patient), as `lesion`.
    """

    path: Path
    source: str
    label: str
    lesion: str = ""
    official: str = "train"
    image_id: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    confirmed: tuple[str, ...] = ()
    groups: Mapping[str, str] = field(default_factory=dict)


def from_rows(rows: Sequence[Row], notes: Sequence[str] = ()) -> Listing:
    """Lists the images that a dataset has found.

    Spellings of one class become one class, cells that mean unknown are empty, and images whose
    label is unknown are left out; each with a note.

    Args:
        rows: One or more.
        notes: One sentence for each thing a reader should know.

    Raises:
        UserError: No image has a label, or a name is not text.
    """
    notes = list(notes)
    labelled = [row for row in rows if known(row.label)]
    if left_out := [row.source for row in rows if not known(row.label)]:
        if not labelled:
            raise UserError(f"none of the {len(rows)} images has a label (first: {left_out[0]})")
        notes.append(
            f"{len(left_out)} images have no label and are left out (first: {left_out[0]})"
        )
    rows = labelled
    sources = [row.source for row in rows]
    _check_names({*sources, *(row.label for row in rows)})
    labels, spellings = class_names.unify([row.label for row in rows])
    classes = sorted(set(labels))
    lesions = [known(row.lesion) for row in rows]
    image_ids = [row.image_id for row in rows]
    columns = dict.fromkeys(column for row in rows for column in row.groups)
    groups = {c: tuple(known(row.groups.get(c)) for row in rows) for c in columns}
    samples = Samples(
        classes=tuple(classes),
        image=np.arange(len(rows)),
        source=np.array(sources, dtype=str),
        copy=np.zeros(len(rows), np.int64),
        label=np.array([classes.index(label) for label in labels], np.int64),
        group=unite([lesions, *groups.values(), image_ids, sources]),
        official=np.array([row.official for row in rows], dtype=str),
    )
    return Listing(
        samples=samples,
        paths=tuple(row.path for row in rows),
        notes=(*notes, *spellings),
        lesions=tuple(lesions),
        image_ids=tuple(image_ids),
        confirmed=tuple(row.confirmed for row in rows),
        published={},
        metadata={
            row.source: {column: known(cell) for column, cell in row.metadata.items()}
            for row in rows
            if row.metadata
        },
        groups=groups,
    )


def _check_names(names: Collection[str]) -> None:
    """Refuses names whose bytes on disk are not UTF-8: no table and no page could hold them."""
    wrong = sorted(name for name in names if not name.isascii() and not _is_text(name))
    if wrong:
        raise UserError(
            *(f"{ascii(name)}: the name is not in UTF-8; rename it" for name in wrong[:20])
        )


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

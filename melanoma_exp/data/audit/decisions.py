"""What a person decided about images, saved by the page of an audit and applied to a dataset.

The files stay as they are: a decision changes a label, leaves an image out or ties images, each
time the dataset is read. A table has the columns `source`, `decision` and `value`:

    source,decision,value
    Train/nevus/ISIC_0000001.jpg,keep,
    Train/nevus/ISIC_0000002.jpg,drop,
    Train/nevus/ISIC_0000003.jpg,relabel,melanoma
    Train/nevus/ISIC_0000004.jpg,same lesion,Test/nevus/ISIC_0000005.jpg
"""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melanoma_exp.data.groups import unite
from melanoma_exp.data.listing import Listing
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.system import files, shown

COLUMNS = ("source", "decision", "value")
KEEP, DROP, RELABEL, SAME = "keep", "drop", "relabel", "same lesion"
LARGEST = 2**26  # bytes of a table
KEY = "dataset.decisions"


@dataclass(frozen=True)
class Decisions:
    """Decisions by the source of an image.

    Attributes:
        sha256: Of the table.
        kept: Images that were looked at and stay as they are.
        dropped: Images that are left out.
        labels: The class of images that get another.
        tied: Pairs of images of one lesion.
    """

    sha256: str
    kept: frozenset[str]
    dropped: frozenset[str]
    labels: Mapping[str, str]
    tied: Sequence[tuple[str, str]]

    @property
    def sentence(self) -> str:
        """What they do, for the plan."""
        return (
            f"{KEY}: {len(self.dropped)} images left out, {len(self.labels)} relabelled, "
            f"{len(self.tied)} pairs tied as one lesion, {len(self.kept)} kept as they are "
            f"(SHA-256 {self.sha256[:12]}…)"
        )


def read(path: Path) -> Decisions:
    """Reads a table of decisions.

    Raises:
        UserError: It cannot be read, has other columns, or contradicts itself; with the line.
    """
    content = files.read_named(path, LARGEST)
    try:
        lines = list(shown.rows(files.decoded(content, path)))
    except csv.Error as error:
        raise UserError(f"{KEY}: {path} is no CSV: {error}") from error
    if not lines or tuple(lines[0]) != COLUMNS:
        raise UserError(f"{KEY}: {path} should have the columns {', '.join(COLUMNS)}")
    by_source: dict[str, tuple[str, str]] = {}
    tied: list[tuple[str, str]] = []
    for number, line in enumerate(lines[1:], 2):
        at = f"{KEY}: {path}, line {number}"
        if len(line) != len(COLUMNS):
            raise UserError(f"{at}: has {len(line)} cells, not {len(COLUMNS)}")
        source, decision, value = line
        if decision not in (KEEP, DROP, RELABEL, SAME):
            known = (KEEP, DROP, RELABEL, SAME)
            guess = did_you_mean(decision, known)
            raise UserError(f"{at}: {decision!r} is none of {', '.join(known)}{guess}")
        if bool(value) != (decision in (RELABEL, SAME)):
            needs = {RELABEL: "needs a class", SAME: "needs another image"}
            raise UserError(f"{at}: {decision} {needs.get(decision, 'takes no value')}")
        if decision == SAME:
            tied.append((source, value))
        elif by_source.setdefault(source, (decision, value)) != (decision, value):
            raise UserError(f"{at}: {source} is decided twice, as {by_source[source][0]} before")
    return Decisions(
        sha256=hashlib.sha256(content).hexdigest(),
        kept=frozenset(s for s, (d, _) in by_source.items() if d == KEEP),
        dropped=frozenset(s for s, (d, _) in by_source.items() if d == DROP),
        labels={s: value for s, (d, value) in by_source.items() if d == RELABEL},
        tied=tied,
    )


def apply(listing: Listing, decisions: Decisions) -> Listing:
    """Returns a listing with the decisions in it, and a note that says how many.

    Raises:
        UserError: One is about an image or a class that the dataset does not have, or none is left.
    """
    samples = listing.samples
    row_of = {str(source): row for row, source in enumerate(samples.source)}
    about = [*decisions.kept, *decisions.dropped, *decisions.labels]
    about += [source for pair in decisions.tied for source in pair]
    if gone := sorted(source for source in about if source not in row_of):
        guess = did_you_mean(gone[0], row_of)
        raise UserError(
            f"{KEY}: {len(gone)} images are not in this dataset (first: {gone[0]}{guess})"
        )
    label = samples.label.copy()
    for source, name in decisions.labels.items():
        if name not in samples.classes:
            guess = did_you_mean(name, samples.classes)
            raise UserError(f"{KEY}: {source}: the dataset has no class {name}{guess}")
        label[row_of[source]] = samples.classes.index(name)
    links = np.array([[row_of[a], row_of[b]] for a, b in decisions.tied], np.int64).reshape(-1, 2)
    group = unite([samples.group.tolist()], links) if len(links) else samples.group
    lesion = unite([listing.lesions, samples.source.tolist()], links)
    # Whoever shares a lesion id with a tied image is of that lesion, too.
    known = np.isin(lesion, lesion[links.ravel()])
    lesions = np.where(known, lesion, np.array(listing.lesions, dtype=str))
    stay = ~np.isin(samples.source, list(decisions.dropped))
    if not stay.any():
        raise UserError(f"{KEY}: leaves out every image")
    rows = np.flatnonzero(stay)
    kept = replace(samples, label=label, group=group).take(rows)
    return replace(
        listing,
        samples=replace(kept, image=np.arange(len(rows))),
        paths=tuple(listing.paths[row] for row in rows),
        notes=(*listing.notes, decisions.sentence),
        lesions=tuple(lesions[rows].tolist()),
        image_ids=tuple(listing.image_ids[row] for row in rows),
        confirmed=tuple(listing.confirmed[row] for row in rows),
        groups={name: tuple(of[row] for row in rows) for name, of in listing.groups.items()},
    )

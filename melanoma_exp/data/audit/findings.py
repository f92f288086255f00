"""What is wrong with a dataset, one finding for each fault."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from melanoma_exp.data.audit import outliers
from melanoma_exp.data.audit.markers.decide import MARKERS
from melanoma_exp.data.duplicates.near_duplicates import TURNS
from melanoma_exp.data.duplicates.survey import Survey
from melanoma_exp.system.shown import TableWriter

LABEL, AGAIN = "likely wrong label", "same lesion"
KINDS = {
    "unreadable": "files that cannot be decoded",
    "two labels": "one image under different labels",
    "train and test": "one image, lesion or patient in two official parts",
    "official label": "images in a folder that the official label contradicts",
    "doubled": "one image or a near-duplicate of it twice within one class and part",
    LABEL: "networks that never saw the image believe in another class; look at it",
    AGAIN: "photographs of what seems one lesion, not known to be one; look at them",
    **MARKERS,
    "class count": "classes whose number of images is not the published one",
    "colour": outliers.COLOUR_RULE,
    "size": outliers.SIZE_RULE,
    "sharpness": outliers.SHARPNESS_RULE,
}
FAULTS = ("unreadable", "two labels", "train and test", "official label", "doubled", AGAIN)


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: One of `KINDS`.
        detail: What makes it one, the same words for findings of the same sort.
        ids: The images it is about; for a class count the part and the class.
        labels: Their labels, in the same order.
        rows: Their rows in the listing; none where there is no image to show.
        note: What is particular about this one.
        distance: Of near-duplicates, 0 to 1; else None.
        beside: Rows of images to compare it with: typical ones of its label and of the other
            class.
    """

    kind: str
    detail: str
    ids: tuple[str, ...]
    labels: tuple[str, ...]
    rows: tuple[int, ...] = ()
    note: str = ""
    distance: float | None = None
    beside: tuple[int, ...] = ()


def find(survey: Survey) -> list[Finding]:
    """Returns all findings, gravest first.

    An image may be in two: one in train under one label and in test under another is both.
    """
    findings = [
        *_unreadable(survey),
        *_repeated(survey),
        *_mislabelled(survey),
        *_photographed_again(survey),
        *_counts(survey),
        *(
            Finding(kind, detail, *_named(survey, (row,)), note)
            for kind, detail, row, note in outliers.find(survey.samples.image, survey.fingerprints)
        ),
    ]
    order = list(KINDS)
    return sorted(findings, key=lambda f: (order.index(f.kind), f.detail, f.ids))


def write_csv(findings: Iterable[Finding], path: Path) -> None:
    """Writes one row for each finding; several ids and labels are joined by ` | `."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = TableWriter(file)
        writer.writerow(["kind", "detail", "distance", "ids", "labels", "note"])
        for f in findings:
            distance = "" if f.distance is None else f"{f.distance:.3f}"
            cells = [" | ".join(f.ids), " | ".join(f.labels), f.note]
            writer.writerow([f.kind, f.detail, distance, *cells])


def summary(findings: Sequence[Finding]) -> list[str]:
    """Returns what a run's plan says of the findings, in no or one sentence."""
    counts = Counter(finding.kind for finding in findings)
    faults = [f"{kind} {counts[kind]}" for kind in FAULTS if counts[kind]]
    if not faults:
        return []
    return [
        f"audit of all files: {', '.join(faults)} (audit.csv and audit.html of the run show them)"
    ]


def _unreadable(survey: Survey) -> Iterator[Finding]:
    for row, why in survey.fingerprints.bad.items():
        ids, labels, _ = _named(survey, (row,))
        yield Finding("unreadable", "cannot be decoded", ids, labels, (), why)


def _repeated(survey: Survey) -> Iterator[Finding]:
    """Yields the findings about duplicates, by the strongest evidence for each."""
    listing, fingerprints, rows = survey.listing, survey.fingerprints, survey.samples.image.tolist()
    seen: set[tuple[int, ...]] = set()
    for detail, keys in (
        ("byte-identical", survey.file_digests),
        ("equal pixels", fingerprints.pixels),
        ("same image id", listing.image_ids),
    ):
        for group in _rows_by(rows, keys):
            if group not in seen:
                seen.add(group)
                yield from _faults(survey, detail, group, ("two labels", "train and test"))
    same = dict(zip(rows, survey.identity.tolist(), strict=True))
    pairs = fingerprints.pairs
    for a, b, turn, distance in zip(
        pairs.first.tolist(),
        pairs.second.tolist(),
        pairs.turn.tolist(),
        pairs.distance.tolist(),
        strict=True,
    ):
        if same[a] != same[b]:
            lesion = listing.lesions[a] and listing.lesions[a] == listing.lesions[b]
            note = TURNS[turn] + (f", both of lesion {listing.lesions[a]}" if lesion else "")
            kinds = ("two labels", "train and test")
            yield from _faults(survey, "near-duplicate", (a, b), kinds, note, distance)
    for what, keys in {"lesion": listing.lesions, **listing.groups}.items():
        for group in _rows_by(rows, keys):
            sides = [{same[k] for k in group if listing.samples.official[k] == s} for s in _PARTS]
            held = [side for side in sides if side]
            # Where every copy of an image is on both sides, that is a finding already.
            if len(held) > 1 and any(side != held[0] for side in held):
                note = f"{what} {keys[group[0]]}"
                yield Finding("train and test", f"same {what}", *_named(survey, group), note)


_PARTS = ("train", "val", "test")


def _faults(
    survey: Survey,
    detail: str,
    rows: tuple[int, ...],
    kinds: tuple[str, str],
    note: str = "",
    distance: float | None = None,
) -> Iterator[Finding]:
    """Yields the findings about images that are the same."""
    ids, labels, _ = named = _named(survey, rows)
    parts = set(survey.listing.samples.official[list(rows)].tolist())
    wrong = [kind for kind, of in zip(kinds, (set(labels), parts), strict=True) if len(of) > 1]
    for kind in wrong or ["doubled"]:
        yield Finding(kind, detail, *named, note, distance)


def _mislabelled(survey: Survey) -> Iterator[Finding]:
    for row, names in zip(survey.samples.image.tolist(), survey.confirmed, strict=True):
        named = _named(survey, (row,))
        if names and named[1][0] not in names:
            yield Finding("official label", f"officially {names[0]}", *named)


def _photographed_again(survey: Survey) -> Iterator[Finding]:
    """Yields pairs that nothing else ties: by no lesion id, as no copies of one picture."""
    again, pairs, listing = survey.same_lesions, survey.fingerprints.pairs, survey.listing
    if again is None:
        return
    copies = set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    same = dict(zip(survey.samples.image.tolist(), survey.identity.tolist(), strict=True))
    for k in np.argsort(-again.agreeing, kind="stable").tolist():
        a, b = rows = int(again.first[k]), int(again.second[k])
        ids, labels, _ = named = _named(survey, rows)
        lesions = listing.lesions[a], listing.lesions[b]
        if rows in copies or same[a] == same[b] or (lesions[0] and lesions[0] == lesions[1]):
            continue
        note = f"{again.agreeing[k]} structures agree, turned by {again.turn[k]:.0f}°"
        note += f", {again.scale[k]:.2f} times as large"
        if all(lesions):
            note += f"; lesions {' and '.join(lesions)}"
        if len(set(listing.samples.official[list(rows)].tolist())) > 1:
            note += "; in two official parts"
        detail = ("sure" if again.sure[k] else "suspected") + ", two labels" * (
            len(set(labels)) > 1
        )
        yield Finding(AGAIN, detail, *named, note)


def _counts(survey: Survey) -> Iterator[Finding]:
    samples = survey.listing.samples
    labels = np.array(samples.classes)[samples.label].tolist()
    found = Counter(zip(samples.official.tolist(), labels, strict=True))
    published = survey.listing.published
    wanted = {(part, c): n for part, counts in published.items() for c, n in counts.items()}
    for part, name in sorted({*wanted, *found} if wanted else ()):
        n, expected = found[part, name], wanted.get((part, name), 0)
        if n != expected:
            detail = "more than published" if n > expected else "fewer than published"
            note = f"{n} images, published {expected}"
            yield Finding("class count", detail, (f"{part}/{name}",), (name,), (), note)


def _named(
    survey: Survey, rows: tuple[int, ...]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...]]:
    """Returns ids, labels and rows."""
    samples = survey.listing.samples
    ids = tuple(str(samples.source[k]) for k in rows)
    return ids, tuple(samples.classes[samples.label[k]] for k in rows), rows


def _rows_by(rows: Iterable[int], keys: Sequence[str]) -> list[tuple[int, ...]]:
    """Returns the rows of every key that more than one row has; an empty key is none."""
    found: dict[str, list[int]] = defaultdict(list)
    for row in rows:
        if keys[row]:
            found[keys[row]].append(row)
    return [tuple(group) for group in found.values() if len(group) > 1]

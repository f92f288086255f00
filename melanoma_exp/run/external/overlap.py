"""Which images of a set a run has learned from: by id, by pixels, as one picture, by lesion.

Images of the run's training part and of its validation part count: validation chose its epoch,
temperature and threshold. What shares a group with such an image is as good as seen, as in every
split of this project.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.data.duplicates import fingerprints
from melanoma_exp.data.groups import image_id, is_isic_id, unite
from melanoma_exp.spec import UserError
from melanoma_exp.system import shown

REASONS = {  # most certain first; an image has the first that holds
    "same_id": "have the id of an image it learned from",
    "same_pixels": "have the pixels of one",
    "near_identical": "are the same picture as one, resized, recompressed or turned",
    "same_lesion": "have the lesion id of one",
    "same_group": "belong to the group of such an image",
}


@dataclass(frozen=True)
class Known:
    """Images that took part in a run.

    Attributes:
        parts: For each the parts it was in, of train, val and test.
        groups: Its group within the run's dataset.
        lesions: "" where unknown.
        image_ids: "" where its name says nothing.
        paths: Of its file; none where pixels cannot be compared.
        digests: SHA-256 of each file.
    """

    parts: Sequence[Collection[str]]
    groups: Sequence[str]
    lesions: Sequence[str]
    image_ids: Sequence[str]
    paths: Sequence[Path] = ()
    digests: Sequence[str] = ()


@dataclass(frozen=True)
class Overlap:
    """What a run has seen of the n images of a set.

    Attributes:
        reason: str (n,), a key of `REASONS`, "" for an image that is new to the run.
        validation_only: bool (n,), seen in validation and not in training.
        tested: bool (n,), not learned from, but in a group with an image that tested the run: it
            may be judged, though the two figures are then not of different images.
        by_pixels: Whether pixels were compared too.
    """

    reason: NDArray[np.str_]
    validation_only: NDArray[np.bool_]
    tested: NDArray[np.bool_]
    by_pixels: bool

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Which images the run has learned from, bool (n,)."""
        return self.reason != ""

    def counts(self) -> dict[str, int]:
        """Returns the number of images by reason, in their order, zeros too."""
        return {key: int((self.reason == key).sum()) for key in REASONS}

    def in_words(self, kept: bool) -> dict[str, int]:
        """Returns the number of images by what the run has seen of them, all first, no zeros.

        Args:
            kept: Whether they are judged all the same.
        """
        done = "judged all the same" if kept else "left out"
        found = {f"images that the run has learned from, {done}": int(self.seen.sum())}
        found |= {REASONS[key]: count for key, count in self.counts().items() if count}
        if alone := int(self.validation_only.sum()):
            found["of these overlap with its validation part alone"] = alone
        return found


def read_split(text: str) -> dict[str, tuple[set[str], str]]:
    """Returns for each source of a run's `split.csv` its parts, of train, val, test, and its group.

    Args:
        text: Of the file; synthetic children count as their source.
    """
    found: dict[str, tuple[set[str], str]] = {}
    for row in shown.records(text):
        if row["part"] in ("train", "val", "test"):
            found.setdefault(row["source"], (set(), row["group"]))[0].add(row["part"])
    return found


def known_by_files(split: Mapping[str, tuple[set[str], str]], data: LoadedDataset) -> Known:
    """Returns the images of a run, found again in its dataset.

    Args:
        split: As `read_split` gives it.
        data: The run's dataset, unchanged.
    """
    listing, readable = data.survey.listing, data.survey.samples
    columns = (map(str, readable.source), map(str, readable.group), readable.image.tolist())
    rows = [row for row in zip(*columns, strict=True) if row[0] in split]
    return Known(
        parts=[split[source][0] for source, _, _ in rows],
        groups=[group for _, group, _ in rows],
        lesions=[listing.lesions[k] for _, _, k in rows],
        image_ids=[listing.image_ids[k] for _, _, k in rows],
        paths=[listing.paths[k] for _, _, k in rows],
        digests=[data.survey.file_digests[k] for _, _, k in rows],
    )


def known_by_names(split: Mapping[str, tuple[set[str], str]]) -> Known:
    """Returns the images of a run as far as its `split.csv` names them.

    A group is called by its lesion where that is known, an image by its ISIC id where it has one.
    """
    ids = [image_id(Path(source).stem) for source in split]
    groups = [group for _, group in split.values()]
    return Known(
        parts=[parts for parts, _ in split.values()],
        groups=groups,
        lesions=groups,
        image_ids=[one if is_isic_id(one) else "" for one in ids],
    )


def measure(
    known: Known, data: LoadedDataset, max_pixels: int, cache: Path, same_lesions: bool
) -> Overlap:
    """Measures which images of a set a run has seen.

    Args:
        known: The images of the run.
        data: The set.
        max_pixels: Larger images are not opened.
        cache: The folder that holds what was seen of both between runs.
        same_lesions: Whether equal lesion ids are one lesion; not where both sets count from 1.

    Raises:
        UserError: A file changed meanwhile, or the cache cannot be written.
    """
    listing, rows, n = data.survey.listing, data.samples.image.tolist(), len(known.groups)
    ids = [*known.image_ids, *(listing.image_ids[k] for k in rows)]
    lesions = [*known.lesions, *(listing.lesions[k] for k in rows)]
    own = [*(f"run {g}" for g in known.groups), *(f"set {g}" for g in data.samples.group)]
    columns = [own, ids, lesions] if same_lesions else [own, ids]
    pixels: list[str] = [""] * len(own)
    links = np.empty((0, 2), np.int64)
    if known.paths:
        found = fingerprints.load(
            [*known.paths, *(listing.paths[k] for k in rows)],
            [*known.digests, *(data.survey.file_digests[k] for k in rows)],
            max_pixels,
            cache,
        )
        pixels = list(found.pixels)
        links = np.stack([found.pairs.first, found.pairs.second], axis=1)
    group = unite([*columns, pixels], links)
    learned = np.array([bool({"train", "val"} & set(parts)) for parts in known.parts], bool)
    trained = np.array(["train" in parts for parts in known.parts], bool)
    tested = np.array(["test" in parts for parts in known.parts], bool)
    seen = np.isin(group[n:], group[:n][learned])

    def shared(column: Sequence[str]) -> NDArray[np.bool_]:
        values = np.array(column, dtype=str)
        return np.isin(values[n:], values[:n][learned]) & (values[n:] != "")

    held = {
        "same_id": shared(ids),
        "same_pixels": shared(pixels),
        "near_identical": _near(pixels, links, n, learned),
        "same_lesion": shared(lesions) & same_lesions,
        "same_group": seen,
    }
    reason = np.select(list(held.values()), list(held), "")
    return Overlap(
        reason,
        seen & ~np.isin(group[n:], group[:n][trained]),
        np.isin(group[n:], group[:n][tested]) & ~seen,
        bool(known.paths),
    )


def check_unchanged(found: str, recorded: str | None) -> None:
    """Refuses a dataset that is not the one a run was trained on.

    Raises:
        UserError: Its digest is not the recorded one.
    """
    if found != recorded:
        raise UserError(
            f"the run's own dataset is not what it was (digest {found}, at its training "
            f"{recorded}), so overlap cannot be measured: restore its files and labels, say where "
            "they are with --trained-root=DIR, or compare by names alone with --by-names"
        )


def _near(
    pixels: Sequence[str], links: NDArray[np.int64], n: int, learned: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Returns which images of the set are one picture with an image that was learned from."""
    names = np.array(pixels, dtype=str)
    # Of several files with equal pixels the first alone is in a pair and stands for all.
    mine = names[:n][learned]
    first, second = names[links[:, 0]], names[links[:, 1]]
    near = np.concatenate([second[np.isin(first, mine)], first[np.isin(second, mine)]])
    return np.isin(names[n:], near[near != ""])

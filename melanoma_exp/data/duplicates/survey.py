"""Opens all files of a listing once and groups those that belong together."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melanoma_exp.data import image_file
from melanoma_exp.data.duplicates import fingerprints, same_lesion
from melanoma_exp.data.duplicates.fingerprints import Fingerprints
from melanoma_exp.data.duplicates.same_lesion import SameLesions
from melanoma_exp.data.groups import SameLesion, unite
from melanoma_exp.data.listing import Listing
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import digest
from melanoma_exp.system.threads import threaded_map


@dataclass(frozen=True)
class Survey:
    """A listing whose files were all opened once.

    Attributes:
        listing: All files.
        samples: The readable rows, grouped by lesion, image id, equal bytes, equal pixels,
            near-identical pictures and, where asked for, lesions surely photographed again.
            `samples.image` is the row of the listing.
        identity: str (len(samples),), rows of one image share it: equal bytes, pixels or image id.
        file_digests: SHA-256 of each file of the listing, "" where it cannot be opened.
        fingerprints: What the files show.
        same_lesions: Pairs of rows that seem to show one lesion, None where nobody looked. Of
            several files with equal pixels the first stands for all.
        digest: Identifies files, labels, groups and metadata, not where they lie.
    """

    listing: Listing
    samples: Samples
    identity: np.ndarray
    file_digests: tuple[str, ...]
    fingerprints: Fingerprints
    same_lesions: SameLesions | None
    digest: str

    @property
    def confirmed(self) -> list[tuple[str, ...]]:
        """For each of `samples` the classes that its official label may be under."""
        return [self.listing.confirmed[k] for k in self.samples.image.tolist()]

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The name of each unreadable file, with the reason."""
        return tuple(f"{self.listing.paths[k]}: {why}" for k, why in self.fingerprints.bad.items())


def survey(
    listing: Listing,
    max_pixels: int,
    cache: Path,
    again: SameLesion,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Survey:
    """Returns what the files of a listing show and which of them belong together.

    Args:
        listing: The files.
        max_pixels: Larger images count as unreadable.
        cache: The folder of cached data.
        again: Whether lesions that were photographed again are looked for, for review alone or
            also to group the sure ones.
        progress: Called as by `same_lesion.find`.

    Raises:
        UserError: A file changed while it was read, or the cache cannot be written.
    """
    opened = threaded_map(lambda path: _file_digest(path, max_pixels), listing.paths)
    file_digests = tuple("" if isinstance(one, ValueError) else one for one in opened)
    seen = fingerprints.load(listing.paths, file_digests, max_pixels, cache)
    closed = {row: str(one) for row, one in enumerate(opened) if isinstance(one, ValueError)}
    seen = replace(seen, bad=dict(sorted({**seen.bad, **closed}.items())))
    identity = unite([file_digests, seen.pixels, listing.image_ids])
    links = np.stack([seen.pairs.first, seen.pairs.second], axis=1)
    found = None
    if again != "off":
        found = _same_lesions(listing, file_digests, seen, max_pixels, cache, progress)
    if found is not None and again == "sure":
        sure = np.stack([found.first, found.second], axis=1)[found.sure]
        links = np.concatenate([links, sure])
    group = unite([listing.samples.group.tolist(), file_digests, seen.pixels], links)
    everything = replace(listing.samples, group=group)
    readable = np.array([k not in seen.bad for k in range(len(listing.paths))], bool)
    s = everything
    columns = (s.source, s.group, s.official, np.array(s.classes)[s.label], listing.image_ids)
    rows = zip(file_digests, *(map(str, column) for column in columns), strict=True)
    content = [
        fingerprints.VERSION,
        sorted(rows),
        listing.published,
        sorted(zip(map(str, s.source), listing.lesions, listing.confirmed, strict=True)),
    ]
    return Survey(
        listing=listing,
        samples=everything.take(readable),
        identity=identity[readable],
        file_digests=file_digests,
        fingerprints=seen,
        same_lesions=found,
        digest=digest(content),
    )


def _same_lesions(
    listing: Listing,
    file_digests: tuple[str, ...],
    seen: Fingerprints,
    max_pixels: int,
    cache: Path,
    progress: Callable[[int, int], None],
) -> SameLesions:
    """Returns pairs of rows, of several files with equal pixels the first alone."""
    names, first = np.unique(seen.pixels, return_index=True)
    rows = np.sort(first[names != ""])
    paths = [listing.paths[row] for row in rows]
    digests = [file_digests[row] for row in rows]
    found = same_lesion.find(paths, digests, max_pixels, cache, progress)
    return replace(found, first=rows[found.first], second=rows[found.second])


def _file_digest(path: Path, max_pixels: int) -> str | ValueError:
    """Returns the SHA-256 of a file, or why it is not opened."""
    try:
        return hashlib.sha256(image_file.read(path, max_pixels)).hexdigest()
    except ValueError as error:
        return error

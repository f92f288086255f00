"""What becomes of image files: listed, then surveyed, then loaded."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from melanoma_exp.data.samples import Samples

if TYPE_CHECKING:
    from melanoma_exp.data.duplicates.fingerprints import Fingerprints


@dataclass(frozen=True)
class Listing:
    """Image files and what is known of them before any is opened.

    Attributes:
        samples: Row k is `paths[k]`, and so is image k; labels are the folders' or the CSV's.
        paths: The files.
        notes: One sentence for each thing a reader should know.
        lesions: The lesion of each row, "" where unknown.
        pictures: The id of each row that names one picture wherever it lies, "" where its name
            says nothing.
        confirmed: The classes that the official label of each row may be under, its own name
            first; empty where there is no official label.
        published: Published counts by part and class, empty where none are known.
        metadata: For each source id that has any, further columns (age, sex, site, ...).
    """

    samples: Samples
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    lesions: tuple[str, ...]
    pictures: tuple[str, ...]
    confirmed: tuple[tuple[str, ...], ...]
    published: Mapping[str, Mapping[str, int]]
    metadata: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Survey:
    """A listing whose files were all opened once.

    Attributes:
        listing: All files.
        samples: The readable rows, grouped by lesion, image id, equal bytes, equal pixels and
            near-identical pictures. `samples.image` is the row of the listing.
        same: str (len(samples),), rows of one image share it: equal bytes, pixels or image id.
        file_digests: SHA-256 of each file of the listing.
        fingerprints: What the files show.
        digest: Identifies files, labels, groups and metadata, not where they lie.
    """

    listing: Listing
    samples: Samples
    same: np.ndarray
    file_digests: tuple[str, ...]
    fingerprints: "Fingerprints"
    digest: str

    @property
    def confirmed(self) -> list[tuple[str, ...]]:
        """For each of `samples` the classes that its official label may be under."""
        return [self.listing.confirmed[k] for k in self.samples.image.tolist()]

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The name of each unreadable file, with the reason."""
        return tuple(f"{self.listing.paths[k]}: {why}" for k, why in self.fingerprints.bad.items())


@dataclass(frozen=True)
class Data:
    """A dataset, ready for use.

    Attributes:
        samples: All images in use; `samples.image` is a row of `pixels`.
        pixels: uint8 (images, height, width, 3), memory-mapped, read-only.
        digest: Identifies files, labels and resampling, not where the files lie.
        notes: One sentence for each thing a reader should know: files ignored or skipped, counts
            that differ from the published ones, what was left out and why.
        skipped: Names of the unreadable files that were left out.
        touched: How many images each choice about labels concerned.
        survey: All files, those left out included.
    """

    samples: Samples
    pixels: np.ndarray
    digest: str
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    touched: Mapping[str, int]
    survey: Survey

    @property
    def metadata(self) -> Mapping[str, Mapping[str, str]]:
        """For each source id that has any, further columns (age, sex, site, ...)."""
        return self.survey.listing.metadata

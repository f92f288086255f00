"""The options of the group `dataset`.

`load` finds the images, names what it ignored, decodes them once into a cache and returns rows and
pixels. Class names come from the folders or the CSV, never from code.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.samples import Samples
from melanoma_exp.spec import Spec, UserError, digest

Task = Literal["classes", "melanoma", "malignant"]


@dataclass(frozen=True)
class Data:
    """A dataset, ready for use.

    Attributes:
        samples: All readable images; `samples.image` is a row of `pixels`.
        pixels: uint8 (images, height, width, 3), memory-mapped, read-only.
        digest: Identifies files, labels and resampling, not where the files lie.
        file_digests: SHA-256 of the file of each row of `pixels`.
        notes: One sentence for each thing a reader should know: files ignored or skipped, counts
            that differ from the published ones.
        skipped: Names of the unreadable files that were left out.
        metadata: For each source id that has any, further columns (age, sex, site, ...).
    """

    samples: Samples
    pixels: np.ndarray
    digest: str
    file_digests: tuple[str, ...]
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Dataset(Spec):
    """Base of all datasets: what is done with images once they are found."""

    image_size: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
    task: Task
    melanoma: tuple[str, ...]
    malignant: tuple[str, ...]
    on_bad_file: Literal["fail", "skip"]
    max_pixels: int = Field(ge=64, le=1_000_000_000)

    def load(self, cache: Path) -> Data:
        """Finds, checks and decodes the images.

        Args:
            cache: The folder that holds decoded pixels between runs.

        Raises:
            UserError: The folder or its CSV is missing or wrong, a class is empty, or a file cannot
                be read and `on_bad_file` is "fail".
        """
        from melanoma_exp.dataset import decode

        listing = self.find(cache)
        decoded = decode.load(listing.paths, self, cache)
        listing = listing.with_identical_files_grouped(decoded.file_digests)
        names = [str(path) for path in listing.paths]
        bad = [f"{names[row]}: {reason}" for row, reason in decoded.bad.items()]
        if bad and self.on_bad_file == "fail":
            hint = "mend or remove them, or leave them out with dataset.on_bad_file=skip"
            raise UserError(*bad[:20], f"{len(bad)} unreadable image files: {hint}")
        samples = listing.samples.take(
            ~np.isin(listing.samples.image, np.fromiter(decoded.bad, np.int64))
        )
        skipped = [f"skipped {len(bad)} unreadable files: {'; '.join(bad[:3])}"] if bad else []
        return Data(
            samples=self._posed(samples),
            pixels=decoded.pixels,
            digest=digest([decode.VERSION, self.resize, listing.digest(decoded.file_digests)]),
            file_digests=decoded.file_digests,
            notes=(*listing.notes, *skipped),
            skipped=tuple(bad),
            metadata=listing.metadata,
        )

    def find(self, cache: Path) -> "Listing":
        """Returns every image file with its label and group, nothing decoded yet."""
        raise NotImplementedError

    def _posed(self, samples: Samples) -> Samples:
        """Returns the samples with the labels of the task."""
        if self.task == "classes":
            return samples
        positive: tuple[str, ...] = getattr(self, self.task)
        missing = sorted(set(positive) - set(samples.classes))
        if missing:
            raise UserError(
                f"dataset.{self.task}: the dataset has no class {', '.join(missing)}; "
                f"it has {', '.join(samples.classes)}"
            )
        label = np.isin(np.array(samples.classes)[samples.label], positive).astype(np.int64)
        other = "rest" if self.task == "melanoma" else "benign"
        return replace(samples, classes=(other, self.task), label=label)


@dataclass(frozen=True)
class Listing:
    """Image files before decoding; `paths[k]` belongs to the rows with `samples.image == k`."""

    samples: Samples
    paths: tuple[Path, ...]
    notes: tuple[str, ...]
    metadata: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def with_identical_files_grouped(self, file_digests: tuple[str, ...]) -> "Listing":
        """Returns the listing with the groups of byte-identical files joined."""
        from melanoma_exp.dataset.groups import unite

        group = unite([self.samples.group.tolist(), file_digests])
        return replace(self, samples=replace(self.samples, group=group))

    def digest(self, file_digests: tuple[str, ...]) -> str:
        """Identifies contents, labels, groups and parts, independent of the folder's place."""
        s = self.samples
        columns = (s.source, s.group, s.official, np.array(s.classes)[s.label])
        rows = zip(file_digests, *(map(str, column) for column in columns), strict=True)
        return digest(sorted(rows))


class Demo(Dataset):
    """Generated dermoscopy-like lesions, made once from a fixed seed; nothing to download."""

    kind: Literal["demo"]

    def find(self, cache: Path) -> Listing:
        """Returns the generated images, making them first where they are not there yet."""
        from melanoma_exp.dataset import demo, folders

        return folders.find(demo.folder(cache), csv_path="metadata.csv", id_column="image_id")


class Folder(Dataset):
    """One folder a class, below `root` or below `root/Train` and `root/Test`.

    `csv` (relative to `root`, or null) may add columns by image id: a label that replaces the
    folder's, a lesion that groups images, and metadata. `expected` are the published counts, a
    class each; a difference is reported.
    """

    kind: Literal["folder", "isic9"]
    root: Path | None
    csv: str | None
    id_column: str
    label_column: str | None
    group_column: str | None
    expected: dict[str, dict[str, int]]

    def find(self, cache: Path) -> Listing:
        """Returns the images of all class folders."""
        from melanoma_exp.dataset import folders

        return folders.find(
            _root(self.root, self.kind),
            csv_path=self.csv,
            id_column=self.id_column,
            label_column=self.label_column,
            group_column=self.group_column,
            expected=self.expected,
        )


class Ham10000(Dataset):
    """HAM10000 as its authors hand it out: one metadata CSV and folders of images.

    Tschandl et al., The HAM10000 dataset, Scientific Data 5, 180161 (2018). Images are grouped by
    `lesion_id`; the set has no official test part.
    """

    kind: Literal["ham10000"]
    root: Path | None
    csv: str

    def find(self, cache: Path) -> Listing:
        """Returns the images that both the CSV and the folders have."""
        from melanoma_exp.dataset import folders

        return folders.find_by_csv(_root(self.root, self.kind), self.csv)


def _root(root: Path | None, kind: str) -> Path:
    """Returns the folder of a dataset or says how to get one."""
    how = {
        "isic9": "get the 9-class ISIC set (folders Train/ and Test/, published on Kaggle as "
        '"Skin Cancer: Malignant vs. Benign / 9 classes ISIC") and pass dataset.root=FOLDER',
        "ham10000": "get HAM10000 from the Harvard Dataverse (doi:10.7910/DVN/DBW86T), unpack the "
        "images beside HAM10000_metadata.csv and pass dataset.root=FOLDER",
        "folder": "pass dataset.root=FOLDER, a folder that holds one folder a class",
    }[kind]
    if root is None:
        raise UserError(f"dataset.root: {kind} needs a folder: {how}")
    if not root.is_dir():
        raise UserError(f"dataset.root: there is no folder {root}: {how}")
    return root


AnyDataset = Annotated[Demo | Folder | Ham10000, Field(discriminator="kind")]

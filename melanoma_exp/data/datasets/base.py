"""The options of the group `dataset`.

`load` finds the images, names what it ignored, decodes them once into a cache and returns rows and
pixels. Class names come from the folders or the CSV, never from code.
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data.datasets.contents import Data, Listing, Survey
from melanoma_exp.data.labels import Conflicts, Labels
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import Spec, UserError, digest

LARGE_GROUP = 50  # images; one lesion is rarely photographed more often
Task = Literal["classes", "melanoma", "malignant"]


class Dataset(Spec):
    """Base of all datasets: what is done with images once they are found."""

    kind: str
    image_size: tuple[Annotated[int, Field(ge=8, le=4096)], Annotated[int, Field(ge=8, le=4096)]]
    resize: Literal["nearest", "box", "bilinear", "bicubic", "lanczos"]
    task: Task
    melanoma: tuple[str, ...]
    malignant: tuple[str, ...]
    on_bad_file: Literal["fail", "skip"]
    max_pixels: int = Field(ge=64, le=1_000_000_000)
    labels: Labels
    conflicts: Conflicts

    def survey(self, cache: Path) -> Survey:
        """Finds all images and opens each once; none is left out or refused.

        Args:
            cache: The folder that holds what was seen between runs.

        Raises:
            UserError: The folder or its CSV is missing or wrong, or a class is empty.
        """
        from melanoma_exp.data.duplicates.survey import survey

        return survey(self.find(cache), self.max_pixels, cache)

    def load(self, cache: Path) -> Data:
        """Finds, checks and decodes the images, and settles their labels.

        Args:
            cache: The folder that holds decoded pixels between runs.

        Raises:
            UserError: As in `survey`; or a file cannot be read and `on_bad_file` is "fail"; or
                official labels are asked for and there are none.
        """
        from melanoma_exp.data import decode, labels

        survey = self.survey(cache)
        listing, bad = survey.listing, survey.unreadable
        if bad and self.on_bad_file == "fail":
            hint = "mend or remove them, or leave them out with dataset.on_bad_file=skip"
            raise UserError(*bad[:20], f"{len(bad)} unreadable image files: {hint}")
        chosen = labels.choose(
            survey.samples, survey.same, survey.confirmed, self.labels, self.conflicts
        )
        skipped = [f"skipped {len(bad)} unreadable files: {'; '.join(bad[:3])}"] if bad else []
        pixels = decode.load(
            listing.paths, survey.file_digests, survey.fingerprints.bad, self, cache
        )
        return Data(
            samples=self._posed(chosen.samples),
            pixels=pixels,
            digest=digest([decode.VERSION, self.resize, _content(chosen.samples, survey)]),
            notes=(*listing.notes, *skipped, *_group_notes(survey.samples), *chosen.notes),
            skipped=bad,
            touched=chosen.touched,
            survey=survey,
        )

    def look_around(self) -> None:
        """Makes sure that a folder is named where one is needed; it may lie on another machine.

        Raises:
            UserError: None is.
        """
        if getattr(self, "root", Path()) is None:
            _root(None, getattr(self, "kind", ""))

    def find(self, cache: Path) -> Listing:
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


def _group_notes(samples: Samples) -> list[str]:
    """Returns a note where one group is so large that it may be a mistake."""
    _, sizes = np.unique(samples.group, return_counts=True)
    largest = int(sizes.max(initial=0))
    if largest <= max(LARGE_GROUP, len(samples) // 50):
        return []
    return [
        f"the largest group holds {largest} of {len(samples)} images: are its lesion ids right, or "
        "are the images too plain to be told apart?"
    ]


def _content(samples: Samples, survey: Survey) -> list[tuple[str, ...]]:
    """Returns contents, labels, groups and parts, independent of the folder's place."""
    files = [survey.file_digests[k] for k in samples.image]
    names = np.array(samples.classes)[samples.label]
    columns = (samples.source, samples.group, samples.official, names)
    return sorted(zip(files, *(map(str, column) for column in columns), strict=True))


class Demo(Dataset):
    """Generated dermoscopy-like lesions, made once from a fixed seed; nothing to download."""

    kind: Literal["demo"]

    def find(self, cache: Path) -> Listing:
        """Returns the generated images, making them first where they are not there yet."""
        from melanoma_exp.data import listing as folders
        from melanoma_exp.demo import images

        columns = folders.Columns("metadata.csv", True, "image_id", None, "lesion_id", None, {})
        return folders.find(images.folder(cache), columns, {})


class Folder(Dataset):
    """One folder a class, below `root` or below `root/Train` and `root/Test`.

    `csv` (relative to `root`, or null) may add columns by image id: a label that replaces the
    folder's, a lesion that groups images, an official label and metadata. `official_classes` says
    for each official label which classes it may be under; the first is its name where
    `labels=verified`, and none makes it unknown. `expected` are the published counts, a class each;
    a difference is reported.
    """

    kind: Literal["folder", "isic9"]
    root: Path | None
    csv: str | None
    csv_required: bool
    id_column: str
    label_column: str | None
    group_column: str | None
    official_column: str | None
    official_classes: dict[str, tuple[str, ...]]
    expected: dict[str, dict[str, int]]

    def find(self, cache: Path) -> Listing:
        """Returns the images of all class folders."""
        from melanoma_exp.data import listing as folders

        columns = folders.Columns(
            self.csv,
            self.csv_required,
            self.id_column,
            self.label_column,
            self.group_column,
            self.official_column,
            self.official_classes,
        )
        return folders.find(_root(self.root, self.kind), columns, self.expected)


class Ham10000(Dataset):
    """HAM10000 as its authors hand it out: one metadata CSV and folders of images.

    Tschandl et al., The HAM10000 dataset, Scientific Data 5, 180161 (2018). Images are grouped by
    `lesion_id`; the set has no official test part.
    """

    kind: Literal["ham10000"]
    root: Path | None
    csv: str
    classes: tuple[str, ...]

    def find(self, cache: Path) -> Listing:
        """Returns the images that both the CSV and the folders have."""
        from melanoma_exp.data import listing as folders

        return folders.find_by_csv(_root(self.root, self.kind), self.csv, self.classes)


def _root(root: Path | None, kind: str) -> Path:
    """Returns the folder of a dataset or says how to get one."""
    how = {
        "isic9": 'get the 9-class ISIC set (on Kaggle "Skin Cancer ISIC", '
        "nodoubttome/skin-cancer9-classesisic) and pass dataset.root=FOLDER, the folder of Train/ "
        "and Test/",
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

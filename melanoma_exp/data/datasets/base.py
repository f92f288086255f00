"""The contract of a dataset: find the images, and what is done with them once they are found.

`load` finds the images, names what it ignored, decodes them once into a cache and returns rows and
pixels. Class names come from the folders or the CSV, never from code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from melanoma_exp.data import class_names
from melanoma_exp.data.groups import SameLesion
from melanoma_exp.data.inputs.spec import Inputs
from melanoma_exp.data.labels import Conflicts, Labels
from melanoma_exp.data.samples import Samples
from melanoma_exp.spec import Spec, UserError, UserPath, digest

if TYPE_CHECKING:
    from melanoma_exp.data.decode import Decoding
    from melanoma_exp.data.duplicates.survey import Survey
    from melanoma_exp.data.listing import Listing

Task = Literal["classes", "melanoma", "malignant"]


@dataclass(frozen=True)
class LoadedDataset:
    """A dataset, ready for use.

    Attributes:
        samples: All images in use; `samples.image` is a row of `pixels`.
        pixels: uint8 (images, height, width, 3), memory-mapped, read-only.
        digest: Identifies files, labels and resampling, not where the files lie.
        notes: One sentence for each thing a reader should know: files ignored or skipped, counts
            that differ from the published ones, what was left out and why.
        skipped: Names of the unreadable files that were left out.
        affected: How many images each choice about labels concerned.
        survey: All files, those left out included.
    """

    samples: Samples
    pixels: np.ndarray
    digest: str
    notes: tuple[str, ...]
    skipped: tuple[str, ...]
    affected: Mapping[str, int]
    survey: "Survey"

    @property
    def metadata(self) -> Mapping[str, Mapping[str, str]]:
        """For each source id that has any, further columns (age, sex, site, ...)."""
        return self.survey.listing.metadata


class Dataset(Spec):
    """Base of all datasets: what is done with images once they are found."""

    drawn: ClassVar[bool] = False  # a network trained on drawings knows no photograph

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
    same_lesion: SameLesion  # lesions photographed again: looked for, and whether they group
    decisions: UserPath | None  # what a person decided on the page of an audit
    inputs: Inputs | None  # columns of the metadata that the network sees beside the image

    @property
    def alerts(self) -> dict[str, tuple[str, ...]]:
        """What each alert is about by its name, as the config has it.

        A two-class dataset has one alert; one of many classes has melanoma against the rest and
        malignant against benign.
        """
        if self.task != "classes":
            return {self.task: (self.task,)}
        return {"melanoma": self.melanoma, "malignant": self.malignant}

    def alerts_among(self, classes: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """Returns the classes of each alert by its name; predictions are made for the first alert.

        A class counts by any spelling of its name and by another name of the same diagnosis (MEL,
        BCC, SCC); a class called malignant is one. Alerts that have a class are first.

        Args:
            classes: Of the dataset.
        """
        if self.task != "classes":
            return self.alerts
        found = {
            name: class_names.find((*wanted, *([name] * (name == "malignant"))), classes)[0]
            for name, wanted in self.alerts.items()
        }
        return dict(sorted(found.items(), key=lambda item: not item[1]))

    def survey(
        self, cache: Path, progress: Callable[[int, int], None] = lambda done, total: None
    ) -> "Survey":
        """Finds all images and opens each once; none is left out or refused.

        Args:
            cache: The folder that holds what was seen between runs.
            progress: Called with the pairs of images that are compared and all there are, where
                lesions that were photographed again are looked for.

        Raises:
            UserError: The folder or its CSV is missing or wrong, a class is empty, or a decision is
                about no image of it.
        """
        from melanoma_exp.data.audit import decisions
        from melanoma_exp.data.duplicates.survey import survey

        listing = self.find(cache)
        if self.decisions is not None:
            listing = decisions.apply(listing, decisions.read(self.decisions))
        return survey(listing, self.max_pixels, cache, self.same_lesion, progress)

    def load(self, cache: Path) -> LoadedDataset:
        """Finds, checks and decodes the images, and settles their labels.

        Args:
            cache: The folder that holds decoded pixels between runs.

        Raises:
            UserError: As in `survey`; or a file cannot be read and `on_bad_file` is "fail"; or
                official labels are asked for and there are none.
        """
        from melanoma_exp.data import decode, labels
        from melanoma_exp.data.duplicates import doubts

        survey = self.survey(cache)
        listing, bad = survey.listing, survey.unreadable
        if bad and self.on_bad_file == "fail":
            hint = "repair or remove them, or leave them out with dataset.on_bad_file=skip"
            raise UserError(*bad[:20], f"{len(bad)} unreadable image files: {hint}")
        chosen = labels.choose(
            survey.samples, survey.identity, survey.confirmed, self.labels, self.conflicts
        )
        skipped = [f"skipped {len(bad)} unreadable files: {'; '.join(bad[:3])}"] if bad else []
        pixels = decode.load(
            listing.paths, survey.file_digests, survey.fingerprints.bad, self.decoding, cache
        )
        return LoadedDataset(
            samples=self._with_task_labels(chosen.samples),
            pixels=pixels,
            digest=digest([decode.VERSION, self.resize, _content(chosen.samples, survey)]),
            notes=(
                *listing.notes,
                *skipped,
                *doubts.notes(survey),
                *chosen.notes,
                *self._alert_notes(chosen.samples.classes),
            ),
            skipped=bad,
            affected=chosen.affected,
            survey=survey,
        )

    def check_environment(self) -> None:
        """Checks what can be checked on a machine that may not hold the images.

        Raises:
            UserError: A folder is needed and none is named.
        """

    @property
    def decoding(self) -> "Decoding":
        """How image files become pixels."""
        from melanoma_exp.data.decode import Decoding

        return Decoding(self.image_size, self.resize, self.max_pixels, self.kind)

    def find(self, cache: Path) -> "Listing":
        """Returns every image file with its label and group, nothing decoded yet."""
        raise NotImplementedError

    def how_to_label(self) -> str:
        """Returns what to do where all images are of one class, "" where nothing is known."""
        return ""

    def _alert_notes(self, classes: Sequence[str]) -> list[str]:
        if self.task != "classes":
            return []
        return class_names.alert_notes(self.alerts_among(classes), self.alerts, classes)

    def _with_task_labels(self, samples: Samples) -> Samples:
        """Returns the samples with the labels of the task."""
        if self.task == "classes":
            return samples
        wanted: tuple[str, ...] = getattr(self, self.task)
        positive, missing = class_names.find(wanted, samples.classes)
        if "malignant" in (named := class_names.find([self.task], samples.classes)[0]):
            positive, missing = (*positive, *named), []
        if missing:
            raise UserError(
                f"dataset.{self.task}: the dataset has no class {', '.join(missing)}; "
                f"it has {', '.join(samples.classes)}"
            )
        label = np.isin(np.array(samples.classes)[samples.label], positive).astype(np.int64)
        other = "rest" if self.task == "melanoma" else "benign"
        return replace(samples, classes=(other, self.task), label=label)


class FolderDataset(Dataset):
    """Base of the datasets that lie in a folder of the user's."""

    root: UserPath | None

    def check_environment(self) -> None:
        """Checks that a folder is named; it may lie on another machine.

        Raises:
            UserError: None is.
        """
        if self.root is None:
            raise UserError(f"dataset.root: {self.kind} needs a folder: {self.how_to_get()}")

    def folder(self) -> Path:
        """Returns the folder.

        Raises:
            UserError: None is named, or it is not there.
        """
        self.check_environment()
        if self.root is None or not self.root.is_dir():
            raise UserError(f"dataset.root: there is no folder {self.root}: {self.how_to_get()}")
        return self.root

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        raise NotImplementedError


def _content(samples: Samples, survey: "Survey") -> list[tuple[str, ...]]:
    """Returns contents, labels, groups and parts, independent of where the folder lies."""
    files = [survey.file_digests[k] for k in samples.image]
    names = np.array(samples.classes)[samples.label]
    columns = (samples.source, samples.group, samples.official, names)
    return sorted(zip(files, *(map(str, column) for column in columns), strict=True))

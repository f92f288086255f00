"""Class folders, with or without a metadata CSV."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from pydantic import model_validator

from melanoma_exp.data.datasets.base import FolderDataset

if TYPE_CHECKING:
    from melanoma_exp.data.layouts.columns import Columns
    from melanoma_exp.data.listing import Listing


class Folder(FolderDataset):
    """One folder per class, below `root` or below `root/Train`, `root/Val` and `root/Test`.

    Images may lie in folders within class folders; with `group_folders` those of one such folder
    stay together, as of one patient.
    `csv` (relative to `root`, or null) may add columns by image id: a label that replaces the
    folder's, a lesion and a patient that group images, an official label and metadata. Where no
    folder is named as a label of the CSV, images may lie anywhere below `root` and the CSV alone
    labels them.
    `official_classes` says for each official label which classes it may be under; the first is its
    name where `labels=verified`, and none makes it unknown. `expected` are the published counts, a
    class each; a difference is reported.
    """

    kind: Literal["folder", "isic9"]
    csv: str | None
    csv_required: bool
    id_column: str
    label_column: str | None
    group_column: str | None
    patient_column: str | None
    official_column: str | None
    official_classes: dict[str, tuple[str, ...]]
    expected: dict[str, dict[str, int]]
    group_folders: bool

    @model_validator(mode="after")
    def _inputs_are_no_columns_of_its_own(self) -> Self:
        own = {
            self.label_column: "is the label",
            self.official_column: "is the official label",
            self.group_column: "names the lesion",
            self.patient_column: "names a person",
            self.id_column: "names the image",
        }
        if self.inputs is not None:
            self.inputs.check_none_of(own)
        return self

    def check_environment(self) -> None:
        """Checks that a folder is named, and a CSV where columns of it are.

        Raises:
            UserError: One is not.
        """
        super().check_environment()
        self._columns().check()

    def find(self, cache: Path) -> "Listing":
        """Returns the images of all class folders."""
        from melanoma_exp.data.layouts import class_folders

        return class_folders.find(
            self.folder(), self._columns(), self.expected, self.max_pixels, self.group_folders
        )

    def how_to_label(self) -> str:
        """Returns which table beside the images may hold their labels, "" where there is none."""
        from melanoma_exp.data.layouts.columns import tables_beside

        if self.label_column is not None or self.root is None:
            return ""
        return tables_beside(self.root, self.csv)

    def _columns(self) -> "Columns":
        from melanoma_exp.data.layouts.columns import Columns

        return Columns(
            self.csv,
            self.csv_required,
            self.id_column,
            self.label_column,
            self.group_column,
            self.patient_column,
            self.official_column,
            self.official_classes,
        )

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        if self.kind == "isic9":
            return (
                'get the 9-class ISIC set (on Kaggle "Skin Cancer ISIC", nodoubttome/'
                "skin-cancer9-classesisic) and pass dataset.root=FOLDER, the folder of Train/ "
                "and Test/; melanoma-exp download isic9 fetches it with its metadata.csv"
            )
        return "pass dataset.root=FOLDER, a folder that holds one folder per class"

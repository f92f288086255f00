"""DermaMNIST and its corrected versions."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from melanoma_exp.data.datasets.base import FolderDataset

if TYPE_CHECKING:
    from melanoma_exp.data.listing import Listing


class DermaMnist(FolderDataset):
    """A `.npz` file of MedMNIST, with official training, validation and test parts.

    The parts of DermaMNIST share lesions; those of the corrected versions -C and -E do not
    (Abhishek et al., Scientific Data 12, 2025).

    Attributes:
        file: Its path below `root`; null is the only `.npz` file there.
        classes: What the labels 0, 1, ... are.
    """

    kind: Literal["dermamnist"]
    file: str | None
    classes: tuple[str, ...]

    def find(self, cache: Path) -> "Listing":
        """Returns the images of all parts, unpacking them first where that was not done yet."""
        from melanoma_exp.data.layouts import npz

        return npz.find(self.folder(), self.file, self.classes, cache)

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        return (
            "get dermamnist_224.npz from https://zenodo.org/records/10519652, or the corrected "
            "dermamnist_corrected_224.npz or dermamnist_extended_224.npz from "
            "https://zenodo.org/records/12739457, and pass dataset.root=FOLDER, its folder"
        )

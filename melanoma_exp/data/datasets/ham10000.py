"""HAM10000."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from melanoma_exp.data.datasets.base import FolderDataset

if TYPE_CHECKING:
    from melanoma_exp.data.listing import Listing


class Ham10000(FolderDataset):
    """HAM10000 as its authors hand it out: one metadata CSV and folders of images.

    Tschandl et al., The HAM10000 dataset, Scientific Data 5, 180161 (2018). Images are grouped by
    `lesion_id`; the set has no official test part.
    """

    kind: Literal["ham10000"]
    csv: str
    classes: tuple[str, ...]

    def find(self, cache: Path) -> "Listing":
        """Returns the images that both the CSV and the folders have."""
        from melanoma_exp.data.layouts import by_table

        return by_table.find(self.folder(), self.csv, self.classes, self.max_pixels)

    def how_to_get(self) -> str:
        """Returns how to get the images and which folder to name."""
        return (
            "get HAM10000 from the Harvard Dataverse (doi:10.7910/DVN/DBW86T), unpack the "
            "images beside HAM10000_metadata.csv and pass dataset.root=FOLDER"
        )

"""Generated images, for trying things out."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from melanoma_exp.data.datasets.base import Dataset

if TYPE_CHECKING:
    from melanoma_exp.data.listing import Listing


class Demo(Dataset):
    """Generated dermoscopy-like lesions, made once from a fixed seed; nothing to download."""

    kind: Literal["demo"]
    drawn: ClassVar[bool] = True

    def find(self, cache: Path) -> "Listing":
        """Returns the generated images, making them first where they are not there yet."""
        from melanoma_exp.data.layouts import class_folders
        from melanoma_exp.data.layouts.columns import Columns
        from melanoma_exp.demo import images

        columns = Columns("metadata.csv", True, "image_id", None, "lesion_id", None, None, {})
        return class_folders.find(images.folder(cache), columns, {}, self.max_pixels, False)

"""Where images come from: the options of the group `dataset`, a file each."""

from typing import Annotated

from pydantic import Field

from melanoma_exp.data.datasets.base import Dataset
from melanoma_exp.data.datasets.demo import Demo
from melanoma_exp.data.datasets.folder import Folder
from melanoma_exp.data.datasets.ham10000 import Ham10000

AnyDataset = Annotated[Demo | Folder | Ham10000, Field(discriminator="kind")]

__all__ = ["AnyDataset", "Dataset"]

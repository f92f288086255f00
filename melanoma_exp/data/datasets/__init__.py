"""Where images come from: the options of the group `dataset`, a file each."""

from typing import Annotated

from melanoma_exp.data.datasets.base import Dataset
from melanoma_exp.data.datasets.demo import Demo
from melanoma_exp.data.datasets.dermamnist import DermaMnist
from melanoma_exp.data.datasets.folder import Folder
from melanoma_exp.data.datasets.table import Table
from melanoma_exp.system.extensions.group import Group

AnyDataset = Annotated[Demo | DermaMnist | Folder | Table, Group("dataset", Dataset)]

__all__ = ["AnyDataset", "Dataset"]

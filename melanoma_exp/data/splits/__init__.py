"""Which image trains, validates, tests: the options of the group `split`, a file each."""

from typing import Annotated

from melanoma_exp.data.splits.base import Split
from melanoma_exp.data.splits.file import File
from melanoma_exp.data.splits.holdout import Holdout
from melanoma_exp.data.splits.kfold import KFold
from melanoma_exp.data.splits.members import Members
from melanoma_exp.data.splits.published import Published
from melanoma_exp.system.extensions.group import Group

AnySplit = Annotated[Holdout | KFold | Published | File | Members, Group("split", Split)]

__all__ = ["AnySplit", "Split"]

"""Which image trains, validates, tests: the options of the group `split`, a file each."""

from typing import Annotated

from pydantic import Field

from melanoma_exp.data.splits.base import Split
from melanoma_exp.data.splits.file import File
from melanoma_exp.data.splits.holdout import Holdout
from melanoma_exp.data.splits.kfold import KFold
from melanoma_exp.data.splits.published import Published

AnySplit = Annotated[Holdout | KFold | Published | File, Field(discriminator="kind")]

__all__ = ["AnySplit", "Split"]

"""The options of the group `hydra/sweeper/pruner`: which jobs of a search are given up early."""

from typing import Annotated

from pydantic import Field

from melanoma_exp.sweep.search.pruning.median import Median
from melanoma_exp.sweep.search.pruning.successive_halving import SuccessiveHalving

AnyRule = Annotated[Median | SuccessiveHalving, Field(discriminator="kind")]

"""The split of an ensemble: what its members' splits leave unseen."""

from typing import Literal

from melanoma_exp.data.samples import Parts, Samples
from melanoma_exp.data.splits.base import Split
from melanoma_exp.spec import UserError


class Members(Split):
    """Follows from the splits of an ensemble's members; `melanoma-exp ensemble` records it.

    Test is what tests every member. Validation is what validates any of them, each image scored by
    the members that did not train on it or its group alone.
    """

    kind: Literal["members"]

    def apply(self, samples: Samples) -> Parts:
        """Refuses to divide: there are no members here.

        Raises:
            UserError: Always.
        """
        raise UserError("split=members: is the split of an ensemble; choose another for training")

"""No balancing."""

from typing import Literal

from melanoma_exp.data.balance.base import Balance


class NoBalance(Balance):
    """Every image once, every class alike."""

    kind: Literal["none"]

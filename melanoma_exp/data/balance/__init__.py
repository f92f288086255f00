"""How unequal classes are evened out: the options of the group `balance`, a file each."""

from typing import Annotated

from melanoma_exp.data.balance.add_per_class import AddPerClass
from melanoma_exp.data.balance.base import Balance
from melanoma_exp.data.balance.class_weight import ClassWeight
from melanoma_exp.data.balance.equalize import Equalize
from melanoma_exp.data.balance.none import NoBalance
from melanoma_exp.data.balance.sampling import Sampling
from melanoma_exp.data.balance.undersample import Undersample
from melanoma_exp.system.extensions.group import Group

AnyBalance = Annotated[
    NoBalance | ClassWeight | AddPerClass | Equalize | Undersample | Sampling,
    Group("balance", Balance),
]

__all__ = ["AnyBalance", "Balance"]

"""What a search draws for a key, from what the command line says to Optuna's distributions."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = str | int | float


def distribution(key: str, content: Mapping[str, Any]) -> "BaseDistribution":
    """Returns Optuna's distribution of a key.

    Args:
        key: For the message.
        content: `kind` choice with `values`, each as written on the command line; or `kind` whole
            or real with `low`, `high` (included), `step` and `log`.

    Raises:
        UserError: Nothing can be drawn from it.
    """
    from optuna import distributions

    options = {name: value for name, value in content.items() if name != "kind"}
    try:
        if content["kind"] == "choice":
            return distributions.CategoricalDistribution(options["values"])
        if content["kind"] == "whole":
            return distributions.IntDistribution(**options)
        return distributions.FloatDistribution(**options)
    except ValueError as error:
        raise UserError(f"{key}: nothing can be drawn: {error}") from None


def bounds(drawn: "BaseDistribution") -> tuple[Value, ...]:
    """Returns the values that are checked before a search begins: all choices, or both ends."""
    from optuna.distributions import CategoricalDistribution

    if isinstance(drawn, CategoricalDistribution):
        return tuple(str(choice) for choice in drawn.choices)
    low, high = drawn.low, drawn.high  # type: ignore[attr-defined]
    return low, high


def override(key: str, value: Value) -> str:
    """Returns a value as an override of the command line."""
    return f"{key}={value if isinstance(value, str) else repr(value)}"

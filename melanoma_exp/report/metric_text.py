"""How the pages of runs write metrics: their names, and values with intervals."""

from collections.abc import Mapping

CAPITALS = {"auc": "AUC", "ppv": "PPV", "npv": "NPV", "f1": "F1"}


def format_estimate(estimate: Mapping[str, float | None] | None) -> str:
    """Returns a value of an evaluation's JSON with its interval, as far as both are defined."""
    if estimate is None or estimate["value"] is None:
        return "–"
    if estimate["low"] is None or estimate["high"] is None:
        return f"{estimate['value']:.3f}"
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"


def words(name: str) -> str:
    """Returns the name of a metric in words."""
    return " ".join(CAPITALS.get(word, word) for word in name.split("_"))

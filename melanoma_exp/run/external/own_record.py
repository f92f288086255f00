"""What a run recorded of itself: its decisions for each alert, and its own figures."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from melanoma_exp.evaluation.metrics.decision import Basis, Decision
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.archive import Archive, StoredRun


def evaluations(archive: Archive, stored: StoredRun) -> dict[str, dict[str, Any]]:
    """Returns the content of the run's `evaluation_val.json`, and that of test where there is one.

    Raises:
        UserError: One is missing or damaged.
    """
    parts = ["val", *(["test"] if stored.metrics.get("test_images") else [])]
    found = {}
    for part in parts:
        file = f"evaluation_{part}.json"
        try:
            found[part] = json.loads(archive.text(stored, file))
        except json.JSONDecodeError as error:
            raise UserError(f"run {stored.id}: {file}: is damaged: {error}") from error
    return found


def decisions(first: Decision, validation: Mapping[str, Any]) -> list[Decision]:
    """Returns the decision for each alert.

    Args:
        first: That of the run's `decision.json`.
        validation: The run's `evaluation_val.json`, which has those of the other alerts.
    """
    found = [first]
    for name, alert in validation["alerts"].items():
        if name == first.name:
            continue
        figures = alert["figures"]
        basis = Basis(
            alert["images"],
            alert["positives"],
            *(figures.get(key, {}).get("value") for key in ("sensitivity", "specificity")),
        )
        band = alert["unsure"]
        found.append(
            replace(
                first,
                name=name,
                positive=tuple(alert["positive"]),
                threshold=alert["threshold"],
                rule=alert["rule"],
                unsure=None if band is None else (band[0], band[1]),
                validation=basis,
                out_of_distribution=None,
                worth=None,
            )
        )
    return found


def scores(stored: StoredRun) -> dict[str, dict[str, float]]:
    """Returns the metrics that the run recorded of its own parts."""
    found: dict[str, dict[str, float]] = {}
    for part in ("val", "test"):
        prefix = f"final/{part}/"
        own = {k.removeprefix(prefix): v for k, v in stored.metrics.items() if k.startswith(prefix)}
        found |= {part: own} if own else {}
    return found

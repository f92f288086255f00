"""Runs that differ only in `seed` or `split.fold` are repeats of one setup: one row."""

import json
import math
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from melanoma_exp.comparison.predictions import Evaluated
from melanoma_exp.config import determines
from melanoma_exp.data import class_names
from melanoma_exp.evaluation.metrics import names
from melanoma_exp.evaluation.metrics.t_tests import t_half_width

REPEATED = ("seed", "split.fold")


@dataclass(frozen=True)
class Mean:
    """Mean over runs, half of its 95 % t interval (NaN for one run), and how many runs."""

    value: float
    half: float
    n: int


@dataclass(frozen=True)
class Row:
    """One setup and its runs.

    Attributes:
        letter: Short name on the page, in the order of the table.
        label: Distinguishes it from the others.
        runs: By fold, then seed.
        settings: The flat config without what differs within a row, and the dataset's digest.
    """

    letter: str
    label: str
    runs: tuple[Evaluated, ...]
    settings: Mapping[str, str]

    @property
    def leaky(self) -> bool:
        """Whether evaluation images of any of its runs leaked into training."""
        return any(run.stored.tags["leaky"] != "false" for run in self.runs)

    @property
    def folds(self) -> int:
        """The number of different folds, 0 without folds."""
        return (
            len({r.stored.params["split.fold"] for r in self.runs} - {None})
            if ("split.fold" in self.runs[0].stored.params)
            else 0
        )

    @property
    def seeds(self) -> int:
        """The number of different seeds."""
        return len({run.stored.params["seed"] for run in self.runs})

    @cached_property
    def name(self) -> str:
        """Letter and label."""
        return f"{self.letter} {self.label}"

    def mean(self, key: str) -> Mean:
        """Returns the mean of a metric over the runs that have it."""
        values = [v for v in (run.metric(key) for run in self.runs) if not math.isnan(v)]
        if not values:
            return Mean(math.nan, math.nan, 0)
        return Mean(float(np.mean(values)), t_half_width(values), len(values))


def group(
    runs: Sequence[Evaluated], by: str, higher_is_better: bool | None = None
) -> tuple[list[Row], list[str]]:
    """Groups runs in rows and orders them: honest ones by a metric, then leaky ones.

    Of runs with the same seed and fold only the newest counts: on one machine their metrics are the
    same, and counting them twice would overstate the certainty.

    Args:
        runs: Of the same classes.
        by: The metric that orders, best first.
        higher_is_better: Its direction; None goes by its name.

    Returns:
        The rows, and a line for each repeat that does not count.
    """
    found: dict[tuple[tuple[str, str], ...], dict[tuple[str, int], Evaluated]] = defaultdict(dict)
    lines = []
    for run in sorted(runs, key=lambda r: r.stored.started):
        row = found[tuple(sorted(_settings(run).items()))]
        key = (run.stored.params.get("split.fold", ""), int(run.stored.params["seed"]))
        if key in row:
            lines.append(
                f"run {row[key].stored.id} ({run.stored.name}): repeats "
                f"{run.stored.id}; counted once"
            )
        row[key] = run
    members = [
        (dict(settings), tuple(run for _, run in sorted(row.items())))
        for settings, row in found.items()
    ]
    labels = _labels(members)
    rows = [Row("", label, m, s) for label, (s, m) in zip(labels, members, strict=True)]
    if higher_is_better is None:
        higher_is_better = names.higher_is_better(by) and not by.startswith("seconds")
    sign = -1 if higher_is_better else 1
    order = sorted(rows, key=lambda row: (row.leaky, _last(sign * row.mean(by).value)))
    return [Row(letter(k), r.label, r.runs, r.settings) for k, r in enumerate(order)], lines


def letter(k: int) -> str:
    """Returns A, B, ... Z, AA, AB, ... for 0, 1, ..."""
    return (letter(k // 26 - 1) if k >= 26 else "") + chr(ord("A") + k % 26)


def differing(rows: Sequence[Row]) -> list[str]:
    """Returns the settings in which rows differ, in alphabetical order."""
    keys = dict.fromkeys(key for row in rows for key in row.settings)
    return [key for key in keys if len({row.settings.get(key) for row in rows}) > 1]


def differences(rows: Sequence[Row]) -> list[tuple[str, list[str]]]:
    """Returns what differs, with each row's value; a group of other kinds is one entry.

    Where rows use different options of a group, say of `augment`, the settings that only one
    option has stand beside its name.
    """
    keys = differing(rows)
    kinds = [key.removesuffix(".kind") for key in keys if key.endswith(".kind")]
    entries = []
    for key in keys:
        above = next((kind for kind in kinds if key.startswith(f"{kind}.")), None)
        own = [k for k in keys if above and k.startswith(f"{above}.") and k != f"{above}.kind"]
        if above and key != f"{above}.kind":
            continue
        if above:
            entries.append((above, [_kind(row, above, own) for row in rows]))
        else:
            entries.append((key, [_shown(row.settings.get(key)) for row in rows]))
    return entries


def alerted(run: Evaluated) -> tuple[str, tuple[str, ...]]:
    """Returns the name of the alerted class and the classes that make it up."""
    params = run.stored.params
    task = params.get("dataset.task", "classes")
    if task != "classes":
        return task, (task,)
    wanted = json.loads(params.get("dataset.melanoma", "[]"))
    return "melanoma", class_names.find(wanted, run.classes)[0]


def _settings(run: Evaluated) -> dict[str, str]:
    kept = {
        key: value
        for key, value in run.stored.params.items()
        if key not in REPEATED and determines(key)
    }
    return kept | {"dataset digest": run.stored.tags.get("dataset_digest", "")}


def _labels(members: Sequence[tuple[Mapping[str, str], Sequence[Evaluated]]]) -> list[str]:
    """Returns run names without seed and fold, with what differs where they are the same."""
    bases = [re.sub(r"(-fold\d+)?-s\d+(?= |$)", "", runs[0].stored.name) for _, runs in members]
    labels = []
    for base, (settings, _) in zip(bases, members, strict=True):
        same = [other for name, (other, _) in zip(bases, members, strict=True) if name == base]
        keys = [key for key in settings if len({other.get(key) for other in same}) > 1]
        values = [f"{key.split('.')[-1]}={_shown(settings[key])}" for key in keys[:3]]
        labels.append(" ".join([base, *values]))
    return labels


def _kind(row: Row, above: str, own: Sequence[str]) -> str:
    values = [
        f"{k.removeprefix(f'{above}.')}={_shown(row.settings[k])}" for k in own if k in row.settings
    ]
    kind = row.settings.get(f"{above}.kind", "")
    return f"{kind} ({', '.join(values)})" if values else kind


def _shown(value: str | None) -> str:
    return "–" if value is None else {"None": "null"}.get(value, value)


def _last(value: float) -> float:
    return math.inf if math.isnan(value) else value

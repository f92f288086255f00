"""Which scalars of an evaluation can be monitored, ranked by and searched for.

They are named as they are logged: `val/loss` and `val/accuracy` come from every epoch's validation,
all others are those of a finished run below `final/val/`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from melanoma_exp.data.samples import Samples
from melanoma_exp.evaluation.config import Evaluation
from melanoma_exp.evaluation.metrics import names
from melanoma_exp.spec import UserError, did_you_mean
from melanoma_exp.training.monitors import BUILT_IN
from melanoma_exp.training.spec import Train

PREFIX = "val/"


def directions(spec: Evaluation, alerts: Iterable[str]) -> dict[str, bool]:
    """Returns every scalar that can be monitored, and whether higher is better.

    Args:
        spec: Says at which sensitivities and specificities the ROC curve is read.
        alerts: Names of the alerts.
    """
    scalars = names.directions(spec, alerts)
    return {**BUILT_IN, **{f"{PREFIX}{name}": up for name, up in scalars.items()}}


def unknown(keys: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """Returns a line for each config key that names a scalar which does not exist.

    Args:
        keys: The name that each config key gives.
        known: The names there are.
    """
    known = list(known)
    return [
        f"{key}: {name} is not a scalar of the evaluation{did_you_mean(name, known)} "
        f"(known: {', '.join(known)})"
        for key, name in keys.items()
        if name not in known
    ]


def check(train: Train, spec: Evaluation, alerts: Iterable[str]) -> list[str]:
    """Returns a line for each monitor, and for the objective, that is not a scalar."""
    known = directions(spec, alerts)
    lines = unknown(
        {
            "train.early_stopping.monitor": train.early_stopping.monitor,
            "train.plateau.monitor": train.plateau.monitor,
            "evaluation.objective": spec.objective,
        },
        known,
    )
    built_in = directions(spec.model_copy(update={"metrics": ()}), alerts)
    names_given = [metric.name for metric in spec.metrics]
    lines += [
        f"evaluation.metrics: {name} is the name of another metric; choose a name of its own"
        for name in sorted(set(names_given))
        if f"{PREFIX}{name}" in built_in or names_given.count(name) > 1
    ]
    if spec.objective == "val/loss":
        lines.append(
            "evaluation.objective: val/loss is a metric of epochs, not of finished runs; use "
            "val/log_loss"
        )
    return lines


@dataclass(frozen=True)
class Objective:
    """What a sweep ranks its jobs by and a search optimises.

    Attributes:
        name: A scalar of the evaluation, such as `val/macro_auc`.
        directions: Of every scalar: whether higher is better.
    """

    name: str
    directions: Mapping[str, bool]

    @property
    def higher_is_better(self) -> bool:
        """Its direction."""
        return self.directions[self.name]

    @property
    def metric(self) -> str:
        """Its name without the part of the data."""
        return self.name.removeprefix(PREFIX)

    @property
    def label(self) -> str:
        """Its name for people."""
        return self.metric.replace("_", " ")

    def score(self, scores: Mapping[str, Mapping[str, float]]) -> float | None:
        """Returns its value in a finished run, None where it is undefined.

        Args:
            scores: Of each part of the data, as `summary.flat` gives them.
        """
        value = scores["val"].get(self.metric, math.nan)
        return None if math.isnan(value) else value


def monitored(train: Train) -> tuple[str, ...]:
    """Returns the scalars that a training needs after every epoch."""
    monitors = [train.early_stopping.monitor]
    if train.schedule == "plateau":
        monitors.append(train.plateau.monitor)
    return tuple(dict.fromkeys(monitors))


def scored_by(train: Train, spec: Evaluation) -> dict[str, Any]:
    """Returns the options of the evaluation that a training depends on by what it monitors."""
    if set(monitored(train)) <= set(BUILT_IN):
        return {}
    return spec.model_dump(
        mode="json", include={"metrics", "bins", "threshold", "partial_auc_above", "prevalence"}
    )


class Scorer:
    """Computes monitored scalars from the logits of an epoch's validation."""

    def __init__(
        self,
        monitored: Sequence[str],
        val: Samples,
        alerts: Mapping[str, tuple[str, ...]],
        spec: Evaluation,
    ) -> None:
        """Prepares.

        Args:
            monitored: Names of scalars.
            val: The n validation rows.
            alerts: Classes of each alert by its name.
            spec: How the part is evaluated.

        Raises:
            UserError: No class of the dataset makes up the alert that a monitored scalar or the
                objective is about.
        """
        present = {
            name: classes for name, classes in alerts.items() if set(classes) & set(val.classes)
        }
        self.directions: Mapping[str, bool] = directions(spec, present)
        missing = [name for name in (*monitored, spec.objective) if name not in self.directions]
        if missing:
            raise UserError(
                f"{', '.join(missing)}: cannot be monitored or be the objective: the dataset has "
                f"no class of that alert (it has {', '.join(val.classes)})"
            )
        self.names = tuple(name for name in dict.fromkeys(monitored) if name not in BUILT_IN)
        self._val, self._alerts = val, alerts
        # Neither intervals nor subgroups are monitored.
        self._spec = spec.model_copy(update={"resamples": 1, "subgroups": {}})

    def __call__(self, logits: NDArray[np.floating]) -> dict[str, float]:
        """Returns the monitored scalars, NaN where undefined.

        Args:
            logits: float (n, c), in the order of the rows; where some are not finite, no scalar is
                defined.
        """
        from melanoma_exp.evaluation.evaluate import evaluate
        from melanoma_exp.evaluation.metrics import summary

        if not np.isfinite(logits).all():
            return dict.fromkeys(self.names, float("nan"))
        parts = {"val": (self._val, np.asarray(logits, np.float64))}
        _, evaluations = evaluate(parts, self._alerts, {}, self._spec)
        values = summary.flat(evaluations["val"].metrics)
        return {name: values[name.removeprefix(PREFIX)] for name in self.names}

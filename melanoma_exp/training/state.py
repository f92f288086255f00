"""Where a training stands: all that the next step depends on, as arrays and JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from melanoma_exp.training.checkpoint import Position
from melanoma_exp.training.monitors import Best

History = dict[str, list[float]]
Arrays = dict[str, np.ndarray]
PLAIN = (
    "epoch",
    "step",
    "seconds",
    "starting",
    "waited",
    "rate",
    "trained",
    "history",
    "is_over",
)  # fields as JSON


@dataclass
class Course:
    """The part of the state that is not in the model.

    Attributes:
        epoch: Epochs that are over.
        step: Steps done of the next one.
        seconds: Spent on the steps of the unfinished epoch;
        starting: of these, waiting for its first batch, of each time it was gone on with;
        waited: and for all other batches.
        rate: The learning rate it began with.
        trained: The training figures of an epoch whose steps are all done; empty before.
        history: For each figure its value in every epoch that is over.
        plateau: What the learning-rate schedule has seen.
        stopping: What early stopping and `keep: best` have seen.
        is_over: Early stopping has ended training.
        best_weights: The weights of the best epoch, where they are kept.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    starting: float = 0.0
    waited: float = 0.0
    rate: float = 0.0
    trained: dict[str, float] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    plateau: Best = field(default_factory=Best)
    stopping: Best = field(default_factory=Best)
    is_over: bool = False
    best_weights: list[np.ndarray] = field(default_factory=list)

    @property
    def position(self) -> Position:
        """Where training stands, as a checkpoint is named."""
        return self.epoch, self.step

    def state(self) -> dict[str, Any]:
        """Returns JSON content; `best_weights` are arrays and not in it."""
        return {
            **{name: getattr(self, name) for name in PLAIN},
            "plateau": self.plateau.state(),
            "stopping": self.stopping.state(),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> "Course":
        """Returns what `state` and `collect` gave."""
        return cls(
            **{name: state[name] for name in PLAIN},
            plateau=Best.from_state(state["plateau"]),
            stopping=Best.from_state(state["stopping"]),
            best_weights=_listed(arrays, "best"),
        )


def collect(model: keras.Model, course: Course) -> Arrays:
    """Returns weights, seeds of dropout, optimizer, running metrics and best weights by name."""
    groups = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
        "best": course.best_weights,
    }
    return {
        f"{name}/{k}": np.array(keras.ops.convert_to_numpy(variable))
        for name, variables in groups.items()
        for k, variable in enumerate(variables)
    }


def restore(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives a compiled model the weights, seeds and optimizer that `collect` took from one."""
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
    _assign(model.variables, _listed(arrays, "model"))
    _assign(model.optimizer.variables, _listed(arrays, "optimizer"))


def restore_metrics(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the running metrics of an unfinished epoch; they exist once `fit` has begun."""
    _assign(model.metrics_variables, _listed(arrays, "metrics"))


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _listed(arrays: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays)
    return [arrays[f"{name}/{k}"] for k in range(count)]

"""The state of training: everything that the next step depends on, as arrays and JSON and back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

import keras
import numpy as np

from melanoma_exp.training.checkpoint import Position
from melanoma_exp.training.monitors import Best, in_json

History = dict[str, list[float]]
Arrays = dict[str, np.ndarray]


@dataclass
class TrainingState:
    """The state that is not in the model.

    Attributes:
        epoch: Finished epochs.
        step: Finished steps of the next one.
        seconds: Spent on the steps of the unfinished epoch;
        starting: of these, waiting for the first batch after each start or resume;
        waited: and for all other batches.
        rate: The learning rate at the epoch's begin.
        trained: Training metrics of an epoch whose steps are all done; empty before.
        history: For each metric its value in every finished epoch.
        plateau: State of the learning-rate schedule.
        stopping: State of early stopping and `keep: best`.
        is_over: Early stopping has ended training.
        swa_epochs: Epochs in the mean of the weights, with `swa`.
        best_weights: Weights of the best epoch, with `keep: best`.
        swa_weights: That mean.
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
    swa_epochs: int = 0
    best_weights: list[np.ndarray] = field(default_factory=list)
    swa_weights: list[np.ndarray] = field(default_factory=list)

    @property
    def position(self) -> Position:
        """Finished epochs and steps, which name a checkpoint."""
        return self.epoch, self.step

    def to_json(self) -> dict[str, Any]:
        """Returns JSON content; weights are arrays and not in it."""
        content = {name: value for name, value in vars(self).items() if "weights" not in name}
        return {
            **content,
            "rate": in_json(self.rate),
            "trained": {name: in_json(value) for name, value in self.trained.items()},
            "history": {name: [*map(in_json, values)] for name, values in self.history.items()},
            "plateau": self.plateau.state(),
            "stopping": self.stopping.state(),
        }

    @classmethod
    def from_checkpoint(cls, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """Returns the state that `to_json` and `to_arrays` gave."""
        content = {known.name: state[known.name] for known in fields(cls) if known.name in state}
        content["rate"] = float(state["rate"])
        content["trained"] = {name: float(value) for name, value in state["trained"].items()}
        content["history"] = {n: [*map(float, values)] for n, values in state["history"].items()}
        content["plateau"] = Best.from_state(state["plateau"])
        content["stopping"] = Best.from_state(state["stopping"])
        best, swa = _group(arrays, "best"), _group(arrays, "swa")
        return cls(**content, best_weights=best, swa_weights=swa)


def to_arrays(model: keras.Model, state: TrainingState) -> Arrays:
    """Returns all that is an array, by name: weights, dropout seeds, optimizer and the like."""
    groups = {
        "model": model.variables,
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
        "best": state.best_weights,
        "swa": state.swa_weights,
    }
    return {
        f"{name}/{k}": np.array(keras.ops.convert_to_numpy(variable))
        for name, variables in groups.items()
        for k, variable in enumerate(variables)
    }


def restore_model(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Restores weights, dropout seeds and optimizer of a compiled model."""
    with model.distribute_strategy.scope():
        model.optimizer.build(model.trainable_variables)
    _assign(model.variables, _group(arrays, "model"))
    _assign(model.optimizer.variables, _group(arrays, "optimizer"))


def restore_metrics(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Restores the running metrics of an unfinished epoch; they exist once `fit` has begun."""
    _assign(model.metrics_variables, _group(arrays, "metrics"))


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _group(arrays: Mapping[str, np.ndarray], name: str) -> list[np.ndarray]:
    count = sum(key.startswith(f"{name}/") for key in arrays)
    return [arrays[f"{name}/{k}"] for k in range(count)]

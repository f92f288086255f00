"""A run that a signal stopped, the commands that resume it, and whether weights are equal."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_run import experiment, runs

from melanoma_exp.cli.commands import COMMANDS
from melanoma_exp.config import Experiment
from melanoma_exp.run import runner
from melanoma_exp.training.signals import Interrupted


def interrupt(asked: Experiment, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Leaves a run that was stopped after its first epoch; returns its id."""
    from melanoma_exp.report import console

    def stop(self: Any, epoch: int, figures: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(console.Screen, "epoch", stop)
        with pytest.raises(Interrupted) as stopped:
            runner.run(asked, place / "job", {})
    (run,) = runs(place)
    words = " ".join([run.info.run_id, *asked.command_overrides()])
    assert f"tracking.folder={place}/mlruns" in words
    assert run.info.status == "KILLED"
    assert stopped.value.message == f"resume with: melanoma-exp resume {words}"
    return run.info.run_id


def interrupted(images: Path, place: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> str:
    return interrupt(experiment(images, place, *more), place, monkeypatch)


def run_command(name: str, place: Path, *words: str) -> None:
    COMMANDS[name]([*words, f"tracking.folder={place}/mlruns", f"cache.dir={place}/cache"])


def same_weights(one: Path, other: Path) -> bool:
    import h5py

    found: list[dict[str, np.ndarray]] = []
    for path in (one, other):
        arrays: dict[str, np.ndarray] = {}
        with h5py.File(path) as file:
            file.visititems(
                lambda name, node, arrays=arrays: (
                    arrays.update({name: node[()]}) if isinstance(node, h5py.Dataset) else None
                )
            )
        found.append(arrays)
    return found[0].keys() == found[1].keys() and all(
        np.array_equal(found[0][name], found[1][name]) for name in found[0]
    )

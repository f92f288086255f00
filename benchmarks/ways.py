"""What the ways of `training.py` share: the images, and turns that are asked for on standard input.

Imports no framework: each way is a process that imports its own.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.data.datamodule import DataModule, prepare
from melanoma_exp.data.samples import Samples
from melanoma_exp.system.installation import conf_folder

DEFAULTS = ["dataset=demo", "dataset.image_size=[180,180]", "tracking=off"]


def experiment_of(words: list[str]) -> config.Experiment:
    """Returns the experiment of a command line."""
    given = {word.partition("=")[0] for word in words}
    defaults = [word for word in DEFAULTS if word.partition("=")[0] not in given]
    return config.parse(compose.compose(Path(conf_folder()), [*defaults, *words]))


def some(datamodule: DataModule, count: int) -> Samples:
    """Returns `count` rows of the training part, mixed."""
    train = datamodule.plan.samples
    return train.take(np.random.default_rng(0).permutation(len(train))[:count])


def cpu_seconds() -> float:
    """Returns the CPU time of this process, its threads and its living children."""
    me = psutil.Process()
    times = [p.cpu_times() for p in (me, *me.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def serve(
    build: Callable[[config.Experiment, DataModule, int], tuple[Any, dict[str, Any]]],
) -> None:
    """Builds a way and gives it a turn for each line on standard input.

    Args:
        build: Gives a function that trains an epoch and returns what is to be answered, `images`
            among it, and facts about the way.
    """
    began = cpu_seconds()
    experiment = experiment_of(sys.argv[3:])
    turn, facts = build(experiment, prepare(experiment), int(sys.argv[2]))
    turn()
    print(json.dumps({**facts, "start_cpu": cpu_seconds() - began}), flush=True)
    for _ in sys.stdin:
        wall, cpu = time.perf_counter(), cpu_seconds()
        done = turn()
        spent = {"wall": time.perf_counter() - wall, "cpu": cpu_seconds() - cpu}
        print(json.dumps({**spent, **done}), flush=True)

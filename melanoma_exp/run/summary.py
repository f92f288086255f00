"""What a run prints before and after training: its plan and its result."""

import math
import shlex
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.download.record import describe
from melanoma_exp.evaluation.metrics.decision import Decision
from melanoma_exp.evaluation.metrics.interval import wilson
from melanoma_exp.evaluation.worth import DRAWN
from melanoma_exp.models import metadata_branch
from melanoma_exp.models.base import Model
from melanoma_exp.report import console


def print_plan_early(experiment: Experiment, datamodule: DataModule, note: str) -> bool:
    """Prints the plan without TensorFlow, whose import takes seconds, where nothing needs it.

    Several devices are counted by TensorFlow, and what a fine-tuning names is looked up in the
    network, so these plans come when that is built.

    Args:
        experiment: What runs.
        datamodule: Its data.
        note: On the precision, "" where there is none.

    Returns:
        Whether it is printed, and no part of it is left to be checked.
    """
    train, classes = experiment.train, len(datamodule.classes)
    if experiment.distribution.kind != "single" or train.features or train.fine_tuning:
        return False
    size = experiment.model.size(datamodule.image_shape, classes)
    if size is None or not _counts_what_it_builds(experiment.model):
        return False
    parameters = size.parameters
    if (encoding := datamodule.encoding) is not None:
        parameters += metadata_branch.parameters(encoding.size, encoding.units, size.embedding)
    print_plan(experiment, datamodule, parameters, note)
    return True


def _counts_what_it_builds(model: Model) -> bool:
    """Whether `size` is not that of a base whose `build` an extension has replaced."""
    counts, builds = (
        next(cls for cls in type(model).__mro__ if name in vars(cls)) for name in ("size", "build")
    )
    return issubclass(counts, builds)


def print_plan(experiment: Experiment, datamodule: DataModule, parameters: int, note: str) -> None:
    """Prints what is about to run, and what a reader should know before believing the result.

    Args:
        experiment: What runs.
        datamodule: Its data.
        parameters: Of its network.
        note: On the precision, "" where there is none.
    """
    train, (height, width, _) = experiment.train, datamodule.image_shape
    steps = datamodule.train_loader(train.batch_size).steps
    # Weights, gradients and two optimizer moments; activations depend on the device.
    memory = 16 * parameters + train.batch_size * height * width * 3 * 4
    augment = experiment.augment.kind
    when = "every epoch" if experiment.augment.online else "children only"
    mixed = "".join(f", then {step.kind}" for step in experiment.augment.batch)
    alert, doubts = alert_facts(experiment, datamodule)
    source = describe(getattr(experiment.dataset, "root", None))
    facts = {
        "alert": alert,
        "alerts on": "; ".join(
            f"{name} ({', '.join(classes)})"
            for name, classes in datamodule.alerts.items()
            if classes
        )
        or "none: no class is one of dataset.melanoma or dataset.malignant",
        "run": experiment.run_name,
        "data": f"{experiment.dataset.kind}, {height}x{width} pixels, digest "
        f"{datamodule.data.digest}, split {experiment.split.kind} {datamodule.split_digest}",
        **({"source": source} if source else {}),
        "augment": (augment if augment == "none" else f"{augment} ({when})") + mixed,
        "balance": experiment.balance.kind,
        "model": f"{experiment.model.name}, {parameters:,} parameters, {train.precision}",
        **experiment.model.describe(),
        **experiment.inference.describe(height, width),
        **({"metadata": datamodule.metadata.describe()} if datamodule.metadata else {}),
        **({"features": train.features.describe()} if train.features else {}),
        **({"fine-tuning": train.fine_tuning.describe()} if train.fine_tuning else {}),
        "training": f"{train.epochs} epochs of {steps} steps, batch {train.batch_size}, "
        + train.describe(),
        "memory": f"{memory / 2**20:.0f} MiB for weights, optimizer and one batch; "
        f"{datamodule.nbytes / 2**20:.0f} MiB of images on disk",
        "tracked": experiment.tracking.describe(),
    }
    notes = [*datamodule.notes(), *([note] if note else [])]
    console.print_plan(console.console(), datamodule.parts, facts, notes, doubts)


def print_result(
    experiment: Experiment,
    leaky: bool,
    decision: Decision,
    scores: Mapping[str, Mapping[str, float]],
) -> None:
    """Prints what the alert is worth and the headline metrics of each part.

    Args:
        experiment: What ran.
        leaky: Whether training has seen what it is evaluated on.
        decision: Made on validation.
        scores: For each part its metrics.
    """
    screen, mark = console.console(), "leaky" if leaky else ""
    console.print_worth(screen, decision.sentence, decision.doubts)
    console.print_result(screen, scores, experiment.evaluation.confidence, mark)


def print_end(
    experiment: Experiment, run_id: str, folder: Path, seconds: float, fit_seconds: float
) -> None:
    """Prints what the run took and where to look next.

    Args:
        experiment: What ran.
        run_id: Of the tracked run.
        folder: Of the job.
        seconds: Of the whole run.
        fit_seconds: Of training alone.
    """
    tracking = experiment.tracking
    storage = "".join(f" {shlex.quote(word)}" for word in experiment.command_overrides())
    following = {
        "off": f"files: {folder}",
        "local": f"next: melanoma-exp ui{storage}; page: melanoma-exp report {run_id}{storage}",
    }
    lines = [
        f"{seconds:.0f} s, of which training took {fit_seconds:.0f} s; run {run_id}",
        following.get(tracking.kind, f"next: open {tracking.describe()}"),
    ]
    console.print_end(console.console(), lines)


def alert_facts(experiment: Experiment, datamodule: DataModule) -> tuple[str, list[str]]:
    """Returns what an alert can be worth, known before training, and what speaks against it.

    Args:
        experiment: What runs.
        datamodule: Its data.
    """
    doubts = [DRAWN] if experiment.dataset.drawn else []
    name, positive = next(iter(datamodule.alerts.items()))
    val = datamodule.parts.val
    is_positive = np.isin(np.array(val.classes)[val.label], positive)
    positives, others = int(is_positive.sum()), int((~is_positive).sum())
    if not positives or not others:
        return f"none for {name}: validation has {positives} of it and {others} others", doubts
    caught = math.ceil(0.95 * positives)
    groups, index = np.unique(val.group[is_positive], return_inverse=True)
    totals = np.bincount(index, minlength=len(groups))
    hits = np.bincount(index, np.arange(positives) < caught, minlength=len(groups))
    best = wilson(hits, totals, experiment.evaluation.confidence)
    return (
        f"for {name}, chosen on {positives} of it and {others} others in validation; if it catches "
        f"{caught} of them, the interval is {best.low:.2f} to {best.high:.2f}"
    ), doubts

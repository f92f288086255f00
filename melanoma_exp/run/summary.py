"""What a run prints before and after training: its plan and its result."""

from collections.abc import Mapping
from pathlib import Path

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.report import console
from melanoma_exp.run.training import Built


def print_plan(experiment: Experiment, datamodule: DataModule, built: Built, note: str) -> None:
    """Prints what is about to run, and what a reader should know before believing the result.

    Args:
        experiment: What runs.
        datamodule: Its data.
        built: Its model.
        note: On the precision, "" where there is none.
    """
    train, (height, width, _) = experiment.train, datamodule.image_shape
    parameters = built.network.count_params()
    # Weights, gradients and two optimizer moments; activations depend on the device.
    memory = 16 * parameters + train.batch_size * height * width * 3 * 4
    augment = experiment.augment.kind
    when = "every epoch" if experiment.augment.online else "children only"
    mixed = "".join(f", then {step.kind}" for step in experiment.augment.batch)
    facts = {
        "run": experiment.run_name,
        "data": f"{experiment.dataset.kind}, {height}x{width} pixels, digest "
        f"{datamodule.data.digest}, split {experiment.split.kind} {datamodule.split_digest}",
        "alerts": "; ".join(
            f"{name} ({', '.join(classes)})"
            for name, classes in datamodule.alerts.items()
            if classes
        )
        or "none: no class is one of dataset.melanoma or dataset.malignant",
        "augment": (augment if augment == "none" else f"{augment} ({when})") + mixed,
        "balance": experiment.balance.kind,
        "model": f"{experiment.model.name}, {parameters:,} parameters, {train.precision}",
        **experiment.model.describe(),
        **experiment.inference.describe(height, width),
        **({"features": train.features.describe()} if train.features else {}),
        **({"fine-tuning": train.fine_tuning.describe()} if train.fine_tuning else {}),
        "training": f"{train.epochs} epochs of {built.steps} steps, batch {train.batch_size}, "
        + train.describe(),
        "memory": f"{memory / 2**20:.0f} MiB for weights, optimizer and one batch; "
        f"{datamodule.nbytes / 2**20:.0f} MiB of images on disk",
        "tracked": experiment.tracking.describe(),
    }
    notes = [*datamodule.notes(), *([note] if note else [])]
    console.print_plan(console.console(), datamodule.parts, facts, notes)


def print_result(
    experiment: Experiment,
    scores: Mapping[str, Mapping[str, float]],
    leaky: bool,
    run_id: str,
    folder: Path,
    seconds: float,
    fit_seconds: float,
) -> None:
    """Prints the headline metrics of each part and where to look next.

    Args:
        experiment: What ran.
        scores: For each part its metrics.
        leaky: Whether training has seen what it is evaluated on.
        run_id: Of the tracked run.
        folder: Of the job.
        seconds: Of the whole run.
        fit_seconds: Of training alone.
    """
    tracking = experiment.tracking
    following = {
        "off": f"files: {folder}",
        "local": f"next: mlflow ui --backend-store-uri {tracking.describe()}",
    }
    lines = [
        f"{seconds:.0f} s, of which training took {fit_seconds:.0f} s; run {run_id}",
        following.get(tracking.kind, f"next: open {tracking.describe()}"),
    ]
    confidence, mark = experiment.evaluation.confidence, "leaky" if leaky else ""
    console.print_result(console.console(), scores, confidence, mark, lines)

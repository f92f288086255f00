"""The middle of a run: building the model on all workers, and training it."""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp import __version__
from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.evaluation import objectives
from melanoma_exp.models import metadata_branch
from melanoma_exp.report import console
from melanoma_exp.run import resume
from melanoma_exp.training import process
from melanoma_exp.training.checkpoint import CheckpointStore, SavedCheckpoint
from melanoma_exp.training.losses import ClassFrequencies
from melanoma_exp.training.signals import PrunedError, Signals

if TYPE_CHECKING:
    import keras

    from melanoma_exp.distribution.worker_group import WorkerGroup
    from melanoma_exp.run.features import PrecomputedFeatures
    from melanoma_exp.run.recorder import Recorder
    from melanoma_exp.training.interfaces import EnterPhase, Loader, Pruner


@dataclass(frozen=True)
class Built:
    """A compiled model with the workers that train it and what they are fed.

    Attributes:
        workers: The processes and devices.
        model: Compiled, with layers and steps for training; on precomputed features the head alone.
        network: From images to logits; the same as `model`, or it shares its layers.
        features: What the model is fed instead of images, None otherwise.
        enter_phase: Sets what is trained in an epoch.
        train: This process's share of the training batches.
        val: This process's share of the validation batches.
        steps: Training steps of an epoch.
        signals: To stop, as all workers see them.
        saved: The checkpoint to resume from, None for a new run.
    """

    workers: "WorkerGroup"
    model: "keras.Model"
    network: "keras.Model"
    features: "PrecomputedFeatures | None"
    enter_phase: "EnterPhase"
    train: "Loader"
    val: "Loader"
    steps: int
    signals: Signals
    saved: SavedCheckpoint | None

    @property
    def facts(self) -> Mapping[str, str]:
        """What is kept with every checkpoint, beside the state of training."""
        return self.features.facts if self.features is not None else {}


def build(
    experiment: Experiment, datamodule: DataModule, signals: Signals, state: Path | None
) -> Built:
    """Builds and compiles the model on all workers and opens the checkpoint to resume from.

    Args:
        experiment: What to run; its precision is settled.
        datamodule: Its data.
        signals: Of this process.
        state: The state folder of the run to resume, None for a new one.

    Raises:
        UserError: The model cannot be built, the workers differ, or the checkpoint is of another
            experiment.
    """
    process.import_tensorflow()
    from melanoma_exp.run.features import PrecomputedFeatures
    from melanoma_exp.training.optim import compile_model
    from melanoma_exp.training.transfer import phases

    spec = experiment.train
    workers = experiment.distribution.create(spec.batch_size)
    process.prepare_process(spec, experiment.seed)
    loader = datamodule.train_loader(spec.batch_size)
    val_loader = datamodule.val_loader(spec.batch_size)
    saved = None
    if state is not None and workers.is_chief:
        saved = resume.open_checkpoint(state, experiment, datamodule)
    with workers.supervised(signals), workers.strategy.scope():
        workers.check_same(
            {
                "config": experiment.digest,
                **datamodule.facts,
                "split": datamodule.split_digest,
                "plan": datamodule.plan.digest,
                "version of melanoma_exp": __version__,
            }
        )
        saved = workers.broadcast(saved)
        network = experiment.model.build(datamodule.image_shape, len(datamodule.classes))
        if saved is None or spec.features is not None:  # whose checkpoints hold the head alone
            experiment.model.load_pretrained(network)
        network = _with_metadata(network, experiment, datamodule)
        features, model = None, network
        if spec.features is not None:
            features = PrecomputedFeatures(network, experiment, datamodule)
            model = features.head
            loader, val_loader = map(features.loader, (loader, val_loader))
        frequencies = ClassFrequencies.of(datamodule.plan)
        compile_with = partial(compile_model, model, spec, loader.steps, frequencies)
        enter_phase = phases.begin(model, spec, experiment.model, loader.steps, compile_with)
        shared_signals = workers.replicate(model, signals)
    train, val = workers.shard(loader), workers.shard(val_loader)
    return Built(
        workers=workers,
        model=model,
        network=network,
        features=features,
        enter_phase=enter_phase,
        train=train,
        val=val,
        steps=loader.steps,
        signals=shared_signals,
        saved=saved,
    )


@dataclass(frozen=True)
class Trained:
    """What training has led to.

    Attributes:
        network: The weights to keep, in Keras' own layers and without an optimizer.
        history: For each metric its value in every epoch.
        seconds: Wall time of the training in this process.
        cpu_seconds: CPU time of it; NaN for a resumed run, of which only the last piece is known.
    """

    network: "keras.Model"
    history: Mapping[str, list[float]]
    seconds: float
    cpu_seconds: float


def train(
    built: Built,
    experiment: Experiment,
    datamodule: DataModule,
    recorder: "Recorder",
    store: CheckpointStore,
    signals: Signals,
    pruner: "Pruner | None",
) -> Trained:
    """Trains the model to its end.

    Args:
        built: The model.
        experiment: What is run.
        datamodule: Its data.
        recorder: Records the run.
        store: Keeps the checkpoints.
        signals: Of this process.
        pruner: May stop the run between two epochs.
    """
    from melanoma_exp.training import fit

    if built.features is not None:
        recorder.log_metrics({"seconds/features": built.features.open(built.saved)})
    started, cpu_started = time.perf_counter(), time.process_time()
    screen = console.Screen(console.console(), experiment.train.epochs, built.steps)
    with screen as progress, built.workers.supervised(signals):
        try:
            history = fit.fit(
                built.model,
                experiment.train,
                built.train,
                built.val,
                built.signals,
                progress=progress,
                log=recorder.log_epoch,
                store=store,
                saved=built.saved,
                pruner=pruner,
                scorer=scorer(experiment, datamodule, pruner),
                enter_phase=built.enter_phase,
            )
        except PrunedError:
            store.remove()  # nobody resumes it
            raise
    built.workers.leave()
    # As it is published: without the layers of training, its replicas and its optimizer.
    network = experiment.model.build(datamodule.image_shape, len(datamodule.classes))
    network = _with_metadata(network, experiment, datamodule)
    network.jit_compile = False
    network.set_weights(built.network.get_weights())
    cpu_seconds = time.process_time() - cpu_started if built.saved is None else math.nan
    return Trained(network, history, time.perf_counter() - started, cpu_seconds)


def _with_metadata(
    network: "keras.Model", experiment: Experiment, datamodule: DataModule
) -> "keras.Model":
    """Returns the network that also takes metadata, where the run has them; else the network."""
    if (encoding := datamodule.encoding) is None:
        return network
    return metadata_branch.join(network, experiment.model, encoding.size, encoding.units)


def scorer(
    experiment: Experiment, datamodule: DataModule, pruner: "Pruner | None" = None
) -> objectives.Scorer:
    """Returns what computes the metrics that training monitors.

    Raises:
        UserError: The dataset has no class that a monitored metric is about.
    """
    names = [*objectives.monitored(experiment.train), *([pruner.monitor] if pruner else [])]
    val, spec = datamodule.parts.val, experiment.evaluation
    return objectives.Scorer(names, val, datamodule.alerts, spec)


def assist(built: Built, experiment: Experiment, datamodule: DataModule, signals: Signals) -> None:
    """Trains with the chief, which alone shows progress, logs and keeps checkpoints."""
    from melanoma_exp.training import fit

    if built.features is not None:
        built.features.open(built.saved)
    with built.workers.supervised(signals):
        fit.fit(
            built.model,
            experiment.train,
            built.train,
            built.val,
            built.signals,
            saved=built.saved,
            scorer=scorer(experiment, datamodule),
            enter_phase=built.enter_phase,
        )
    built.workers.leave()

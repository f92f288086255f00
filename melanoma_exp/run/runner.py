"""A run from top to bottom: data, split, plan, model, training, evaluation, record."""

import math
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.config import Experiment
from melanoma_exp.data.datamodule import DataModule, notes, prepare
from melanoma_exp.data.loader import Loader
from melanoma_exp.report import console
from melanoma_exp.run import resume
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance
from melanoma_exp.tracking.base import Run
from melanoma_exp.training import precision, process
from melanoma_exp.training.checkpoint import Store
from melanoma_exp.training.signals import Interrupted, PrunedError, Signals

if TYPE_CHECKING:
    from melanoma_exp.training.fit import Judge

Scores = dict[str, dict[str, float]]


def run(
    experiment: Experiment,
    folder: Path,
    tags: Mapping[str, str],
    resumed: str | None = None,
    judge: "Judge | None" = None,
) -> Scores | None:
    """Runs an experiment.

    Args:
        experiment: What to run.
        folder: Of this run; artifacts stay there with `tracking=off`.
        tags: Further tags of the tracked run.
        resumed: The id of an interrupted run of this experiment, to go on with it.
        judge: May give the run up between two epochs.

    Returns:
        For val and test their figures; None after a dry run, and in a worker that is not the chief.

    Raises:
        UserError: Something the user can mend.
        Interrupted: A signal asked to stop; what was logged stays.
        PrunedError: The judge gave the run up; what was logged stays, checkpoints do not.
    """
    started = time.perf_counter()
    screen = console.console()
    signals, place = Signals(), experiment.tracking.storage_overrides()
    if not experiment.dry_run:
        experiment.tracking.check()  # before anything that takes time
    with signals.heard(), resume.told_that_a_worker_is_lost(folder, resumed, place):
        experiment.distribution.look_around()
        datamodule = prepare(experiment)
        state = experiment.tracking.state_folder(folder)
        # Not before the data is known to be good: importing TensorFlow takes seconds.
        process.keep_freed_memory()
        process.import_tensorflow()
        settled, said = precision.settle(experiment.train)
        experiment = experiment.model_copy(update={"train": settled})
        from melanoma_exp.run import recorder, worker
        from melanoma_exp.training import fit
        from melanoma_exp.training.optim import compile_model

        train = experiment.train
        team = experiment.distribution.create(train.batch_size)
        process.prepare_process(train, experiment.seed)
        loader = Loader.training(
            datamodule.plan,
            datamodule.reader,
            experiment.augment,
            train.batch_size,
            experiment.seed,
        )
        classes = datamodule.parts.train.classes
        shape = datamodule.data.pixels.shape[1:]
        val = Loader(datamodule.parts.val, datamodule.reader, train.batch_size)
        parts = team.divide(loader), team.divide(val)
        saved = None
        if resumed and team.is_chief:
            saved = resume.open_state(state / resumed, experiment, datamodule)
        with team.together(signals), team.strategy.scope():
            team.agree(datamodule.digests(experiment))
            saved = team.share(saved)
            build = partial(experiment.model.build, (shape[0], shape[1], shape[2]), len(classes))
            model = build()
            compile_model(model, train, loader.steps, len(classes))
            stops = team.replicate(model, signals)
        if not team.is_chief:
            if not experiment.dry_run:
                with team.together(signals):
                    worker.follow(model, train, *parts, stops, saved)
                team.part()
            return None
        facts = _facts(experiment, datamodule, model.count_params(), loader.steps)
        told = [*notes(experiment, datamodule), *([said] if said else [])]
        console.print_plan(screen, datamodule.parts, facts, told)
        if experiment.dry_run:
            return None
        if resumed:
            console.print_resumed(screen, resumed, saved)
        with (
            _tracked(experiment, folder, resumed) as tracked,
            tempfile.TemporaryDirectory() as files,
        ):
            record = recorder.Record(tracked, experiment, datamodule, Path(files))
            place_tags = {"process": provenance.process(), "folder": str(folder.absolute())}
            tracked.set_tags({**tags, **place_tags, "precision": said or train.precision})
            resume.note_run(folder, resume.Begun(tracked.id, None))
            store = Store(state / tracked.id, {"dataset": datamodule.data.digest})
            if saved is None:
                resume.begin_state(store.folder, experiment, datamodule)
                record.beginning(model, loader)
            fit_started, cpu_started = time.perf_counter(), time.process_time()
            with (
                console.Screen(screen, train.epochs, loader.steps) as progress,
                team.together(signals),
            ):
                log = tracked.log_metrics
                try:
                    history = fit.fit(
                        model, train, *parts, progress, log, store, stops, saved, judge
                    )
                except PrunedError:
                    store.remove()  # nobody goes on with it
                    raise
            team.part()
            # As it is published: without the layers of training, its replicas and its optimizer.
            network = build()
            network.jit_compile = False
            network.set_weights(model.get_weights())
            fit_seconds = time.perf_counter() - fit_started
            cpu_seconds = time.process_time() - cpu_started
            scores = record.ending(network, history)
            total = time.perf_counter() - started
            tracked.log_metrics(
                {
                    "seconds/fit": sum(history["seconds"]),
                    # Of this process: what an interrupted run used before it is not known here.
                    "seconds/fit_cpu": cpu_seconds if saved is None else math.nan,
                    "seconds/outside_fit": total - fit_seconds,
                }
            )
        store.remove()
        resume.note_run(folder, resume.Begun(tracked.id, scores, datamodule.leaky))
    lines = [f"{total:.0f} s, of which training took {fit_seconds:.0f} s; run {tracked.id}"]
    if experiment.tracking.kind == "off":
        lines.append(f"files: {folder}")
    elif experiment.tracking.kind == "local":
        lines.append(f"next: mlflow ui --backend-store-uri {experiment.tracking.describe()}")
    else:
        lines.append(f"next: open {experiment.tracking.describe()}")
    confidence, mark = experiment.evaluation.confidence, "leaky" if datamodule.leaky else ""
    console.print_result(screen, scores, confidence, mark, lines)
    return scores


def _facts(
    experiment: Experiment, datamodule: DataModule, parameters: int, steps: int
) -> dict[str, str]:
    train, shape = experiment.train, datamodule.data.pixels.shape
    arrays = datamodule.reader.pixels.nbytes + datamodule.reader.children.nbytes
    # Weights, gradients and two optimizer moments; activations depend on the device.
    memory = 16 * parameters + train.batch_size * shape[1] * shape[2] * 3 * 4
    online = experiment.augment.online
    return {
        "run": experiment.run_name,
        "data": f"{experiment.dataset.kind}, {shape[1]}x{shape[2]} pixels, digest "
        f"{datamodule.data.digest}, split {experiment.split.kind} {datamodule.parts.digest}",
        "augment": f"{experiment.augment.kind} ({'every epoch' if online else 'children only'})"
        if experiment.augment.kind != "none"
        else "none",
        "balance": experiment.balance.kind,
        "model": f"{experiment.model.name}, {parameters:,} parameters, {train.precision}",
        "training": f"{train.epochs} epochs of {steps} steps, batch {train.batch_size}, "
        f"{train.optimizer} {train.learning_rate:g} {train.schedule}",
        "memory": f"{memory / 2**20:.0f} MiB for weights, optimizer and one batch; "
        f"{arrays / 2**20:.0f} MiB of images on disk",
        "tracked": experiment.tracking.describe(),
    }


@contextmanager
def _tracked(experiment: Experiment, folder: Path, resumed: str | None) -> Iterator[Run]:
    """Starts the tracked run and closes it as finished, failed or killed."""
    tracked = experiment.tracking.start(experiment.run_name, folder, resumed)
    place = experiment.tracking.storage_overrides()
    with resume.told_how_to_go_on(folder, tracked.id, place):
        try:
            yield tracked
        except BaseException as error:
            if isinstance(error, Interrupted):
                on_all = experiment.distribution.kind == "multi_worker"
                error.told = resume.how_to_go_on(folder, tracked.id, on_all, place=place)
            # What stopped the run is told, not that its record is gone too.
            with suppress(UserError, OSError):
                if isinstance(error, PrunedError):
                    tracked.set_tags({resume.PRUNED: str(error)})
                tracked.end("KILLED" if isinstance(error, Interrupted | PrunedError) else "FAILED")
            raise
        tracked.end("FINISHED")

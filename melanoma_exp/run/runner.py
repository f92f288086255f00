"""A run from top to bottom: prepare, build, train, conclude."""

import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.config import Experiment
from melanoma_exp.data import datamodule as data_module
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.report import console, streams
from melanoma_exp.run import one_writer, resume, summary, training
from melanoma_exp.spec import UserError, not_text
from melanoma_exp.system import provenance
from melanoma_exp.system.cache import maintenance
from melanoma_exp.tracking.base import Run, check_complete
from melanoma_exp.training import precision, process
from melanoma_exp.training.checkpoint import CheckpointStore
from melanoma_exp.training.signals import Interrupted, PrunedError, Signals

if TYPE_CHECKING:
    from melanoma_exp.run.recorder import Recorder
    from melanoma_exp.training.interfaces import Pruner

Scores = dict[str, dict[str, float]]


def start(
    experiment: Experiment, folder: Path, tags: Mapping[str, str], pruner: "Pruner | None" = None
) -> Scores | None:
    """Runs the job of a folder: anew, from where an earlier start stopped, or not once more.

    Arguments, result and errors are those of `run`.
    """
    with one_writer.of_job(experiment, folder):
        earlier = resume.find_started_run(folder)
        is_writer = not experiment.dry_run and experiment.distribution.is_chief()
        if earlier and not earlier.scores and is_writer:
            earlier = resume.complete(experiment, folder, earlier)
        if earlier and earlier.scores:
            print(f"{folder}: run {earlier.run_id} has finished here already")
            return earlier.scores
        return run(experiment, folder, tags, earlier.run_id if earlier else None, pruner)


def run(
    experiment: Experiment,
    folder: Path,
    tags: Mapping[str, str],
    resumed: str | None = None,
    pruner: "Pruner | None" = None,
) -> Scores | None:
    """Runs an experiment.

    Args:
        experiment: What to run.
        folder: Of this run; artifacts stay there with `tracking=off`.
        tags: Further tags of the tracked run.
        resumed: The id of an interrupted run of this experiment, to resume it.
        pruner: May stop the run between two epochs.

    Returns:
        For val and test their metrics; None after a dry run, and in a worker that is not the chief.

    Raises:
        UserError: Something the user can fix, such as another process that writes the same run.
        Interrupted: A signal asked to stop; what was logged stays.
        PrunedError: The pruner stopped the run; what was logged stays, checkpoints do not.
    """
    started, signals = time.perf_counter(), Signals()
    if lines := list(not_text(str(folder.absolute()), "hydra.run.dir")):
        raise UserError(*lines)
    if not experiment.dry_run:
        experiment.tracking.check()  # before anything that takes time
    with (
        signals.handled(),
        resume.report_lost_worker(folder, resumed, experiment.command_overrides()),
        _only_writer(experiment, folder, resumed),
    ):
        experiment, datamodule, note = prepare(experiment, resumed is not None)
        if experiment.distribution.is_chief():
            streams.copy_to(folder / "melanoma_exp.log")
        planned = summary.print_plan_early(experiment, datamodule, note)
        if planned and experiment.dry_run:
            return None
        states = experiment.tracking.state_folder(folder)
        built = training.build(
            experiment, datamodule, signals, states / resumed if resumed else None
        )
        if not built.workers.is_chief:
            if not experiment.dry_run:
                training.assist(built, experiment, datamodule, signals)
            return None
        if not planned:
            summary.print_plan(experiment, datamodule, built.network.count_params(), note)
        if experiment.dry_run:
            return None
        if resumed:
            console.print_resumed(console.console(), resumed, built.saved)
        from melanoma_exp.run import closing  # before the run exists: these take a second
        from melanoma_exp.run.recorder import Recorder

        with (
            _tracked(experiment, folder, resumed) as tracked,
            one_writer.of_run(experiment.tracking, folder, tracked.id),
            tempfile.TemporaryDirectory() as tmp,
        ):
            place = {"process": provenance.process(), "folder": str(folder.absolute())}
            tracked.set_tags({**tags, **place, "precision": note or experiment.train.precision})
            show = partial(summary.print_result, experiment, datamodule.leaky)
            recorder = Recorder(tracked, experiment, datamodule, Path(tmp), show)
            facts = {**datamodule.facts, **built.facts}
            beside = resume.initial_state(experiment, datamodule)
            store = CheckpointStore(states / tracked.id, facts, beside)
            # Also where an earlier process had recorded it and somebody has deleted that since.
            if built.saved is None or tracked.missing_files(resume.BEGUN):
                recorder.start(built.network)
            work = built, experiment, datamodule, recorder, store, signals, pruner
            trained = training.train(*work)
            scores, seconds = conclude(trained, recorder, started)
            closing.describe(tracked, experiment, datamodule, recorder.decision, scores)
            closing.save_page(tracked, experiment, datamodule, Path(tmp))
        store.remove()
        resume.save_started_run(folder, resume.StartedRun(tracked.id, scores, datamodule.leaky))
    summary.print_end(experiment, tracked.id, folder, seconds, trained.seconds)
    return scores


def prepare(experiment: Experiment, resumed: bool = False) -> tuple[Experiment, DataModule, str]:
    """Loads the data and makes the process ready for TensorFlow.

    Args:
        experiment: What to run.
        resumed: Whether it goes on from a checkpoint, if it has one.

    Returns:
        The experiment with its model and precision settled, its data, and a note on the precision
        or "".

    Raises:
        UserError: The data, or what the machine offers, does not fit the experiment.
    """
    experiment.distribution.check_environment()
    # The checkpoints of a head alone lack what is below it.
    model = experiment.model.settle(resumed and experiment.train.features is None)
    datamodule = prepare_data(experiment)
    process.keep_freed_memory()
    settled, note = precision.settle(experiment.train)
    return experiment.model_copy(update={"model": model, "train": settled}), datamodule, note


def prepare_data(experiment: Experiment) -> DataModule:
    """Returns the data module of an experiment; needs no TensorFlow.

    Raises:
        UserError: The data cannot be used, or the model does not fit its images or classes.
    """
    experiment.model.check_image(experiment.dataset.image_size)
    cache = experiment.cache.root()
    data = experiment.dataset.load(cache)
    experiment.model.check_head(len(data.samples.classes))
    datamodule = data_module.prepare(
        experiment.dataset,
        data,
        experiment.split,
        experiment.balance,
        experiment.augment,
        experiment.seed,
        cache,
    )
    experiment.train.check(datamodule.plan)
    training.scorer(experiment, datamodule)  # before TensorFlow is imported, not after
    # Only now: a set larger than the limit still trains.
    if experiment.cache.max_gib is not None:
        maintenance.trim(cache, int(experiment.cache.max_gib * 2**30))
    return datamodule


def conclude(
    trained: training.Trained,
    recorder: "Recorder",
    started: float,
) -> tuple[Scores, float]:
    """Evaluates the network and completes the record.

    Args:
        trained: The network and its history.
        recorder: Records the run.
        started: When the run began, by `time.perf_counter`.

    Returns:
        For val and test their metrics, and the seconds that the run took.
    """
    with console.console().status("evaluating, then completing the record"):
        scores = recorder.finish(trained.network, trained.history)
    seconds = time.perf_counter() - started
    recorder.log_metrics(
        {
            "seconds/fit": sum(trained.history["seconds"]),
            "seconds/fit_cpu": trained.cpu_seconds,
            "seconds/outside_fit": seconds - trained.seconds,
        }
    )
    return scores, seconds


@contextmanager
def _only_writer(experiment: Experiment, folder: Path, resumed: str | None) -> Iterator[None]:
    """Holds the folder and, where there is one already, the run."""
    with one_writer.of_job(experiment, folder):
        if resumed is None or experiment.dry_run or not experiment.distribution.is_chief():
            yield
            return
        with one_writer.of_run(experiment.tracking, folder, resumed):
            yield


@contextmanager
def _tracked(experiment: Experiment, folder: Path, resumed: str | None) -> Iterator[Run]:
    """Starts the tracked run and closes it as finished, failed or killed."""
    tracked = experiment.tracking.start(experiment.run_name, folder, resumed)
    storage = experiment.command_overrides()
    with resume.with_resume_hint(folder, tracked.id, storage):
        try:
            # At once: killed before this, the job would start another run beside this one.
            resume.save_started_run(folder, resume.StartedRun(tracked.id, None))
            yield tracked
            check_complete(
                tracked, resume.BEGUN, resume.resume_hint(folder, tracked.id, storage=storage)
            )
        except BaseException as error:
            if isinstance(error, Interrupted):
                every_worker = experiment.distribution.kind == "multi_worker"
                error.message = resume.resume_hint(
                    folder, tracked.id, every_worker, storage=storage
                )
            # What stopped the run is reported, not that its record is gone too.
            with suppress(UserError, OSError):
                if isinstance(error, PrunedError):
                    tracked.set_tags({resume.PRUNED: str(error)})
                tracked.end("KILLED" if isinstance(error, Interrupted | PrunedError) else "FAILED")
            raise
        tracked.end("FINISHED")

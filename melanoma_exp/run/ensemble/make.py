"""Makes an ensemble of finished runs: one network, evaluated out of fold, recorded as a run."""

import math
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.config import Experiment
from melanoma_exp.data import datamodule as data_module
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.splits.members import Members
from melanoma_exp.models.ensemble import Ensemble, Member, member_network
from melanoma_exp.models.inference import Inference
from melanoma_exp.prediction import saved_model, terminal
from melanoma_exp.report import console
from melanoma_exp.run import closing, summary, untrained
from melanoma_exp.run.ensemble import members as member_runs
from melanoma_exp.run.ensemble.members import MemberRun
from melanoma_exp.run.ensemble.scoring import Scoring, assign
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance
from melanoma_exp.system.extensions import record
from melanoma_exp.tracking.archive import Archive, StoredRun
from melanoma_exp.training import precision, process
from melanoma_exp.training.signals import Signals

if TYPE_CHECKING:
    import keras

Scores = dict[str, dict[str, float]]


def make(
    archive: Archive,
    runs: Sequence[StoredRun],
    here: Experiment,
    folder: Path,
    name: str | None = None,
    tags: Mapping[str, str] | None = None,
    inference: Mapping[str, Inference] | None = None,
) -> Scores:
    """Makes and records an ensemble.

    Args:
        archive: Where its members are recorded.
        runs: Its members, finished runs.
        here: Says where the ensemble is recorded and images are cached.
        folder: Of the job.
        name: Of the run; None makes one up.
        tags: Further tags of the run.
        inference: By run id the views and the correction of a member, where they are not its own.

    Returns:
        For val and test its metrics.

    Raises:
        UserError: The members do not fit together, their data is not there, or no image is left
            that some member has not seen.
        Interrupted: A signal asked to stop.
    """
    started = time.perf_counter()
    here.tracking.check()
    chosen = member_runs.read(archive, runs, inference or {})
    experiment = combine(chosen, here, name)
    datamodule, scoring = prepare_data(experiment, chosen)
    with Signals().handled():
        process.keep_freed_memory()
        process.import_tensorflow()
        settled, note = precision.settle(experiment.train)
        experiment = experiment.model_copy(update={"train": settled})
        network = build(experiment, chosen, datamodule)
        _print_plan(experiment, datamodule, scoring, note)
        from melanoma_exp.run.ensemble.record import EnsembleRecorder

        screen, total = console.console(), sum(int(s.sum()) for s in scoring.scorers.values())
        with (
            untrained.tracked(experiment, folder, "an ensemble") as tracked,
            tempfile.TemporaryDirectory() as tmp,
            terminal.progress_bar(screen, "predictions", total) as update,
        ):
            done = 0

            def progress(more: int) -> None:
                nonlocal done
                done += more
                update(done)

            place = {"process": provenance.process(), "folder": str(folder.absolute())}
            tracked.set_tags({**(tags or {}), **place, "precision": note or settled.precision})
            recorder = EnsembleRecorder(
                tracked, experiment, datamodule, Path(tmp), chosen, scoring, progress
            )
            recorder.start(network)
            scores = recorder.finish(network, {})
            seconds = time.perf_counter() - started
            recorder.log_metrics({"seconds/outside_fit": seconds})
            closing.save_page(tracked, experiment, datamodule, Path(tmp))
    lines = [
        f"{seconds:.0f} s; run {tracked.id}, an ensemble of {len(chosen)} runs",
        f"next: melanoma-exp predict {tracked.id} IMAGES",
    ]
    if recorder.decision is not None:
        console.print_worth(screen, recorder.decision.sentence, recorder.decision.doubts)
    console.print_result(screen, scores, experiment.evaluation.confidence, "")
    console.print_end(screen, lines)
    return scores


def combine(chosen: Sequence[MemberRun], here: Experiment, name: str | None) -> Experiment:
    """Returns the experiment of an ensemble.

    What its members share it shares; where they differ, its augment, balance and train are those of
    the first, and its precision is float32. Nothing is trained with them. Its images are those of
    the member with the largest.

    Args:
        chosen: The members.
        here: Says where the ensemble is recorded and images are cached.
        name: Of the run; None makes one up.
    """
    first = chosen[0].experiment
    counts = Counter(member.experiment.model.name for member in chosen)
    title = "-".join(["ensemble", *(f"{count}x{kind}" for kind, count in counts.items())])
    listed = tuple(
        Member(
            run_id=member.stored.id,
            name=member.stored.name,
            model=member.experiment.model,
            inference=member.experiment.inference,
            image_size=member.experiment.dataset.image_size,
            weights_sha256=member.manifest.weights_sha256,
        )
        for member in chosen
    )
    precisions = {member.experiment.train.precision for member in chosen}
    size = max((m.experiment.dataset.image_size for m in chosen), key=math.prod)
    train = first.train
    if len(precisions) > 1:
        train = train.model_copy(update={"precision": "float32"})
    combined = first.model_copy(
        update={
            "name": name or f"{title}-{first.dataset.kind}",
            "dataset": first.dataset.model_copy(update={"image_size": size}),
            "model": Ensemble(kind="ensemble", name=title, members=listed),
            "inference": _inference(chosen),
            "split": Members(kind="members", train_per_class=None),
            "train": train,
            "tracking": here.tracking,
            "cache": here.cache,
        }
    )
    return combined.model_copy(update={"extend": record.used_by(combined, ())})


def _inference(chosen: Sequence[MemberRun]) -> Inference:
    """Returns one view, for those of the members are within them, and the correction of all.

    Where members correct differently, the ensemble chooses its own on its validation.
    """
    corrections = {member.experiment.inference.prior_correction for member in chosen}
    correction = corrections.pop() if len(corrections) == 1 else "validation"
    return Inference(views="none", scales=(1.0,), prior_correction=correction)


def prepare_data(experiment: Experiment, chosen: Sequence[MemberRun]) -> tuple[DataModule, Scoring]:
    """Loads the members' dataset and divides it.

    Raises:
        UserError: The images are not there or are not those of the members, or none is left.
    """
    cache = experiment.cache.root()
    data = experiment.dataset.load(cache)
    recorded = chosen[0].stored.tags.get("dataset_digest")
    if data.digest != recorded:
        raise UserError(
            f"dataset: what is there now (digest {data.digest}) is not what the members were "
            f"trained on (digest {recorded}): restore the files, labels and lesions of that time"
        )
    scoring = assign(data.samples, [member.parts for member in chosen])
    return data_module.evaluated(
        experiment.dataset, data, scoring.parts, scoring.leak, cache
    ), scoring


def build(
    experiment: Experiment, chosen: Sequence[MemberRun], datamodule: DataModule
) -> "keras.Model":
    """Returns the ensemble's network with the members' weights.

    Raises:
        UserError: The weights of a member are not those that its run recorded.
    """
    process.prepare_process(experiment.train, experiment.seed)
    network = experiment.model.build(datamodule.image_shape, len(datamodule.classes))
    for k, member in enumerate(chosen):
        saved = saved_model.load(member.stored.name, dict(member.files), experiment.train.precision)
        member_network(network, k).set_weights(saved.network.get_weights())
    return network


def _print_plan(
    experiment: Experiment, datamodule: DataModule, scoring: Scoring, note: str
) -> None:
    height, width, _ = datamodule.image_shape
    assert isinstance(experiment.model, Ensemble)
    total = len(experiment.model.members)
    test = f"by all {total} members" if len(scoring.parts.test) else "no image tests all members"
    facts = {
        "run": experiment.run_name,
        "data": f"{experiment.dataset.kind}, {height}x{width} pixels, digest "
        f"{datamodule.data.digest}",
        **experiment.model.describe(),
        "validation": f"out of fold, each image by {scoring.fewest_and_most} of {total}",
        "test": test,
        "tracked": experiment.tracking.describe(),
    }
    notes = [note] if note else []
    alert, doubts = summary.alert_facts(experiment, datamodule)
    facts = {"alert": alert, **facts}
    console.print_plan(console.console(), datamodule.parts, facts, notes, doubts)

"""Judges a finished run on another labelled set and records that as a run of its own."""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from melanoma_exp.config import Experiment
from melanoma_exp.data import datamodule as data_module
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.data.datasets.base import LoadedDataset
from melanoma_exp.data.samples import Parts
from melanoma_exp.prediction import manifest, saved_model
from melanoma_exp.prediction.manifest import Manifest
from melanoma_exp.report import console, external_screen
from melanoma_exp.run import untrained
from melanoma_exp.run.external import class_map, overlap, own_record
from melanoma_exp.run.external.overlap import Known, Overlap
from melanoma_exp.run.external.record import ExternalRecorder, Judged
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance
from melanoma_exp.tracking.archive import Archive, StoredRun
from melanoma_exp.training.signals import Signals

Scores = dict[str, dict[str, float]]
OWN = ("image_size", "resize", "task")  # keys of the set's dataset that are the run's


@dataclass(frozen=True)
class Question:
    """What is asked about an evaluation.

    Attributes:
        stated: By class of the set the run's, or `-`.
        keep_overlap: Whether images that the run has learned from are judged too.
        by_names: Whether overlap is measured by names alone, without the training images.
        same_lesions: Whether equal lesion ids of the two sets are one lesion.
        trained_root: Where the training images are now; None where they were.
        name: Of the new run; None makes one up.
    """

    stated: Mapping[str, str]
    keep_overlap: bool = False
    by_names: bool = False
    same_lesions: bool = True
    trained_root: Path | None = None
    name: str | None = None


def judge(
    archive: Archive, run_id: str, here: Experiment, question: Question, folder: Path
) -> Scores:
    """Judges a run on another set.

    Args:
        archive: Where the run is recorded.
        run_id: Of a finished run.
        here: Gives the set, where the evaluation is recorded and where images are cached.
        question: What is asked.
        folder: Of the job.

    Returns:
        The metrics of the set, by part.

    Raises:
        UserError: The run cannot be judged, its classes are not the set's, its training images are
            not there, or no image is left.
        Interrupted: A signal asked to stop.
    """
    started = time.perf_counter()
    here.tracking.check()
    name, files = saved_model.fetch(archive, run_id)
    stored = archive.run(run_id)
    known = Manifest.read(files[manifest.NAME])
    trained, decision = saved_model.read_config(known, files)
    if known.metadata is not None:
        raise UserError(
            f"run {run_id} reads metadata ({', '.join(known.metadata.columns)}); only runs with "
            "dataset.inputs=null can be judged on another set"
        )
    known.check_weights(files[manifest.WEIGHTS])  # before minutes of reading images
    own = own_record.evaluations(archive, stored)
    dataset = here.dataset.model_copy(update={key: getattr(trained.dataset, key) for key in OWN})
    cache = here.cache.root()
    classes = known.classes, question.stated, dataset, trained.dataset
    if dataset.labels == "folder" and dataset.task == "classes":
        class_map.match(dataset.find(cache).samples, *classes)  # before every image is opened
    loaded = dataset.load(cache)
    mapped = class_map.match(loaded.samples, *classes)
    rows = class_map.relabel(loaded.samples, mapped, known.classes)
    data = replace(loaded, samples=rows)
    seen = _overlap(archive, stored, trained, data, question, dataset.max_pixels, cache)
    judged = Judged(
        stored,
        known.weights_sha256,
        own_record.decisions(decision, own["val"]),
        own,
        loaded.samples,
        mapped,
        rows,
        seen,
        question.keep_overlap,
    )
    experiment = trained.model_copy(
        update={
            "name": question.name or f"{name} on {dataset.kind}",
            "dataset": dataset,
            "tracking": here.tracking,
            "cache": here.cache,
        }
    )
    datamodule = _datamodule(experiment, data, judged, cache)
    with Signals().handled():
        saved = saved_model.load(name, files)
        screen = console.console()
        height, width = dataset.image_size
        facts = {
            "run": f"{name} ({run_id}), {trained.model.name}, trained on {trained.dataset.kind}",
            "set": f"{dataset.kind}, {height}x{width} pixels, digest {data.digest}",
            "tracked": experiment.tracking.describe(),
        }
        notes = [*data.notes, *_notes(stored, judged)]
        console.print_worth(screen, decision.sentence, decision.doubts)
        external_screen.print_plan(
            screen, judged.classes(), judged.overlap.in_words(judged.keep_overlap), facts, notes
        )
        with (
            untrained.tracked(experiment, folder, "an evaluation") as tracked,
            tempfile.TemporaryDirectory() as tmp,
        ):
            tracked.set_tags({"process": provenance.process(), "folder": str(folder.absolute())})
            recorder = ExternalRecorder(
                tracked, experiment, datamodule, Path(tmp), judged, saved.out_of_distribution
            )
            recorder.start(saved.trained)
            scores = recorder.finish(saved.trained, {})
            seconds = time.perf_counter() - started
            recorder.log_metrics({"seconds/outside_fit": seconds})
    shown = {**own_record.scores(stored), **scores}
    lines = [
        f"{seconds:.0f} s; run {tracked.id} judges run {run_id}; page: its artifact external.html"
    ]
    mark = "leaky" if datamodule.leaky else ""
    console.print_result(screen, shown, experiment.evaluation.confidence, mark)
    console.print_end(screen, lines)
    return scores


def _overlap(
    archive: Archive,
    stored: StoredRun,
    trained: Experiment,
    data: LoadedDataset,
    question: Question,
    max_pixels: int,
    cache: Path,
) -> Overlap:
    """Measures what the run has seen of the set."""
    split = overlap.read_split(archive.text(stored, "split.csv"))
    pixels = max(max_pixels, trained.dataset.max_pixels)
    return overlap.measure(
        _known(stored, split, trained, question, cache), data, pixels, cache, question.same_lesions
    )


def _known(
    stored: StoredRun,
    split: Mapping[str, tuple[set[str], str]],
    trained: Experiment,
    question: Question,
    cache: Path,
) -> Known:
    if question.by_names:
        return overlap.known_by_names(split)
    dataset = trained.dataset
    if question.trained_root is not None:
        if not hasattr(dataset, "root"):
            raise UserError(f"--trained-root: the run's dataset, {dataset.kind}, is in no folder")
        dataset = dataset.model_copy(update={"root": question.trained_root})
    try:
        before = dataset.load(cache)
    except UserError as error:
        hint = "say where they are with --trained-root=DIR, or compare names alone with --by-names"
        raise UserError(
            *error.lines, f"these are the run's own training images, needed for the overlap: {hint}"
        ) from error
    overlap.check_unchanged(before.digest, stored.tags.get("dataset_digest"))
    return overlap.known_by_files(split, before)


def _datamodule(
    experiment: Experiment, data: LoadedDataset, judged: Judged, cache: Path
) -> DataModule:
    part = judged.part
    if not len(part):
        raise UserError(
            f"the run has learned from all {len(judged.rows)} images of the set whose class it "
            "knows: none is left to judge it on (--keep-overlap judges them all the same)"
        )
    none = part.take(np.zeros(len(part), bool))
    seen = int(judged.overlap.seen.sum()) if judged.keep_overlap else 0
    leak = {"leak/external_rows_learned_from": seen / len(part)}
    return data_module.evaluated(experiment.dataset, data, Parts(none, none, part), leak, cache)


def _notes(stored: StoredRun, judged: Judged) -> Sequence[str]:
    """Returns what a reader should know before relying on the result."""
    part, found = judged.part, []
    absent = [c for c, n in zip(part.classes, part.counts(), strict=True) if not n]
    if absent:
        found.append(
            f"no image of: {', '.join(absent)}; means over classes are over the others, so they "
            "are not of the same classes as the run's own"
        )
    if stored.tags.get("leaky") != "false":
        found.append("the run is leaky: its own figures, and its threshold, are optimistic")
    if judged.overlap.tested.any():
        found.append(
            f"{judged.overlap.tested.sum()} judged images share a group with images that tested "
            "the run: the two columns are not of different images alone"
        )
    if not judged.overlap.by_pixels:
        found.append("pixels were not compared, names alone (--by-names): more may overlap")
    return found

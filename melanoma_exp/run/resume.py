"""Resuming an interrupted run: what it needs, and what must not have changed.

The state folder of a run holds `experiment.json` and `split.csv` as they were at its start, and its
checkpoints. The folder a job was started in holds `run.json`, so that the same job started there
again resumes instead of starting over.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melanoma_exp.config import Experiment, determines, parse_json
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.distribution.liveness import LostWorkerError
from melanoma_exp.spec import UserError, validate_json
from melanoma_exp.system import provenance
from melanoma_exp.system.disk import why_unwritable
from melanoma_exp.system.files import partial_of, read_text, sync
from melanoma_exp.tracking.off import FolderRun, Off
from melanoma_exp.tracking.store import StoreError
from melanoma_exp.training.checkpoint import CheckpointStore, SavedCheckpoint

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive

STARTED, EXPERIMENT, SPLIT = "run.json", "experiment.json", "split.csv"
BEGUN = (EXPERIMENT, SPLIT)  # artifacts that a run saves before it trains
SHOWN = 5  # differences
PRUNED = "pruned"  # tag of a run that a search gave up


@dataclass(frozen=True)
class StartedRun:
    """The run that was started in a job's folder.

    Attributes:
        run_id: Its id.
        scores: Its metrics by part, None before it has finished.
        leaky: Whether training saw what it was evaluated on.
    """

    run_id: str
    scores: Any
    leaky: bool = False


def new_job_folder() -> Path:
    """Returns the folder of a job that starts now, named as in `conf/config.yaml`."""
    now = datetime.now()
    return Path("mlruns") / "hydra" / f"{now:%Y-%m-%d}" / f"{now:%H-%M-%S-%f}"


def find_started_run(folder: Path) -> StartedRun | None:
    """Returns the run that an earlier start left in a folder, None without one.

    Raises:
        UserError: `run.json` is not what a run writes.
    """
    if not (path := folder / STARTED).exists():
        return None
    return validate_json(StartedRun, read_text(path), path, "remove it to start the job anew")


def save_started_run(folder: Path, started: StartedRun) -> None:
    """Writes `run.json`: a kill during the sync must not lose the id, so it is renamed before."""
    folder.mkdir(parents=True, exist_ok=True)
    partial = partial_of(folder / STARTED)
    partial.write_text(json.dumps(asdict(started)), encoding="utf-8")
    partial.replace(folder / STARTED)
    sync(folder / STARTED)


def complete(experiment: Experiment, folder: Path, started: StartedRun) -> StartedRun:
    """Returns a run with its scores, where only `run.json` does not know yet that it has finished.

    Args:
        experiment: Says where it is recorded.
        folder: It was started in.
        started: As `run.json` has it.

    Raises:
        UserError: The store does not answer.
    """
    if isinstance(experiment.tracking, Off):
        return started
    experiment.tracking.sync(started.run_id)
    stored = experiment.tracking.archive().run(started.run_id)
    if stored.status != "FINISHED":
        return started
    scores: dict[str, dict[str, float]] = {}
    for key, value in stored.metrics.items():
        first, _, name = key.partition("/")
        part, _, metric = name.partition("/")
        if first == "final" and metric:
            scores.setdefault(part, {})[metric] = value
    known = StartedRun(started.run_id, scores, stored.tags.get("leaky") == "true")
    save_started_run(folder, known)
    return known


def load(archive: "Archive", run_id: str, states: Path) -> tuple[Experiment, Path]:
    """Returns the experiment of a run that may be resumed, and the folder it was started in.

    Args:
        archive: Where it is recorded.
        run_id: Its id.
        states: Where runs keep their checkpoints.

    Raises:
        UserError: There is no such run, it has finished, or its process is still running here, or
            for all that is known on another machine.
    """
    run = archive.run(run_id)
    run.check_trained()
    if run.status == "FINISHED":
        raise UserError(f"run {run_id} has finished; `melanoma-exp rerun {run_id}` repeats it")
    if why := run.tags.get(PRUNED):
        raise UserError(
            f"run {run_id} was given up by a search ({why}); `melanoma-exp rerun {run_id}` runs it "
            "to its end"
        )
    owner = run.tags.get("process", "")
    alive = provenance.is_alive(owner) if run.status == "RUNNING" else False
    if alive:
        raise UserError(f"run {run_id} is still running, as process {owner.split(':')[1]}")
    if alive is None and not (states / run_id).exists():
        host = owner.split(":")[0] or "another machine"
        raise UserError(
            f"run {run_id} is recorded as running on {host} and has no checkpoint here: resume it "
            f"there, or `melanoma-exp rerun {run_id}` repeats it"
        )
    return parse_json(archive.text(run_id, EXPERIMENT)), Path(run.tags["folder"])


def open_checkpoint(
    folder: Path, experiment: Experiment, datamodule: DataModule
) -> SavedCheckpoint | None:
    """Returns the checkpoint to resume from, None where the run must start over.

    Args:
        folder: The run's state folder.
        experiment: What is about to run.
        datamodule: Its data.

    Raises:
        UserError: Config, data or split differ from those at the start of the run.
    """
    saved = CheckpointStore(folder).newest()
    if saved is None:
        return None
    before = parse_json(read_text(folder / EXPERIMENT))
    lines = []
    if before.digest != experiment.digest:
        old, new = before.flat(), experiment.flat()
        changed = [k for k in old | new if determines(k) and old.get(k) != new.get(k)]
        lines += [f"{key}: was {old.get(key)}, is {new.get(key)}" for key in changed]
        if changed == ["train.precision"]:  # auto, on another machine
            lines.append(f"resume with train.precision={old['train.precision']}")
    was = set(read_text(folder / SPLIT).splitlines())
    now = set(datamodule.parts.to_csv(datamodule.data.samples).splitlines())
    lines += [f"split.csv: had {row}" for row in sorted(was - now)]
    lines += [f"split.csv: has {row}" for row in sorted(now - was)]
    facts = datamodule.facts
    if saved.state["dataset"] != facts["dataset"] and not lines:
        lines = ["dataset: files of the same names have other contents"]
    if saved.state.get("metadata") != facts.get("metadata") and not lines:
        lines = ["dataset.inputs: images of the same names have other metadata"]
    if lines:
        shown = lines[:SHOWN]
        if len(lines) > SHOWN:
            shown.append(f"and {len(lines) - SHOWN} more differences")
        raise UserError(
            "resume: the run was started with another config or other data; start a new one", *shown
        )
    return saved


def initial_state(experiment: Experiment, datamodule: DataModule) -> dict[str, str]:
    """Returns the files beside checkpoints that `open_checkpoint` compares a resumed run with."""
    split = datamodule.parts.to_csv(datamodule.data.samples)
    return {EXPERIMENT: experiment.to_json(), SPLIT: split}


def resume_hint(
    folder: Path,
    run_id: str | None,
    every_worker: bool = False,
    program: str = "melanoma-exp",
    storage: Sequence[str] = (),
) -> str:
    """Returns what to type to resume a run.

    Args:
        folder: The folder it was started in.
        run_id: Its id; None looks into the folder.
        every_worker: Whether it must be typed on every worker.
        program: The words before `resume`.
        storage: Overrides that say where the run is recorded.
    """
    if run_id is None and (started := find_started_run(folder)):
        run_id = started.run_id
    again = " ".join([program, "resume", f"{run_id}", *map(shlex.quote, storage)])
    if run_id in (None, FolderRun.id):
        again = f"the same command and hydra.run.dir={folder.absolute()}"
    return f"resume{' on every worker' * every_worker} with: {again}"


@contextmanager
def report_lost_worker(folder: Path, run_id: str | None, storage: Sequence[str]) -> Iterator[None]:
    """Adds to the error of a lost worker how to resume the run.

    Args:
        folder: The folder it was started in.
        run_id: Its id, None where it is new.
        storage: Overrides that say where the run is recorded.

    Raises:
        LostWorkerError: One line.
    """
    try:
        yield
    except LostWorkerError as error:
        again = resume_hint(folder, run_id, every_worker=True, storage=storage)
        raise LostWorkerError(f"{error}; {again}") from None


@contextmanager
def with_resume_hint(folder: Path, run_id: str, storage: Sequence[str]) -> Iterator[None]:
    """Turns an error of a full disk or an absent store into one line that says how to resume.

    Args:
        folder: The folder the run was started in.
        run_id: Its id.
        storage: Overrides that say where it is recorded.

    Raises:
        UserError: One line instead of the failed write.
    """
    try:
        yield
    except (StoreError, OSError) as error:
        if not (line := str(error) if isinstance(error, StoreError) else why_unwritable(error)):
            raise
        again = resume_hint(folder, run_id, storage=storage)
        raise UserError(f"{line}; fix that and {again}") from error

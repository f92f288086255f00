"""Going on with a run that did not end: what must be there, and what must not have changed.

A run's state folder holds `experiment.json` and `split.csv` as they were when it began, and its
checkpoints. The folder a job was started in holds `run.json`, so that the same job started again
there goes on instead of beginning anew.
"""

import json
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melanoma_exp.config import Experiment, determines, parse_json
from melanoma_exp.data.datamodule import DataModule
from melanoma_exp.distribution.liveness import LostWorkerError
from melanoma_exp.spec import UserError
from melanoma_exp.system import provenance
from melanoma_exp.system.disk import why_unwritable
from melanoma_exp.tracking.base import StoreError
from melanoma_exp.tracking.off import FolderRun
from melanoma_exp.training.checkpoint import Saved, Store

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive

BEGUN, EXPERIMENT, SPLIT = "run.json", "experiment.json", "split.csv"
SHOWN = 5  # differences
PRUNED = "pruned"  # tag of a run that a search gave up


@dataclass(frozen=True)
class Begun:
    """What a job's folder knows of the run that was started there.

    Attributes:
        run_id: Of the run.
        scores: What it returned, if it has finished.
        leaky: Whether it then had seen in training what measures it.
    """

    run_id: str
    scores: Any
    leaky: bool = False


def begun_in(folder: Path) -> Begun | None:
    """Returns the run that an earlier start of the job began in this folder."""
    try:
        content = json.loads((folder / BEGUN).read_text())
    except (OSError, ValueError):
        return None
    return Begun(content["run_id"], content["scores"], content.get("leaky", False))


def note_run(folder: Path, begun: Begun) -> None:
    """Writes `run.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / BEGUN).write_text(json.dumps(asdict(begun)))


def load(archive: "Archive", run_id: str) -> tuple[Experiment, Path]:
    """Returns the experiment of a run that may be gone on with, and the folder it was started in.

    Raises:
        UserError: There is no such run, it has finished, or its process is still at work.
    """
    run = archive.run(run_id)
    if run.status == "FINISHED":
        raise UserError(f"run {run_id} has finished; `melanoma-exp rerun {run_id}` repeats it")
    if why := run.tags.get(PRUNED):
        raise UserError(
            f"run {run_id} was given up by a search ({why}); `melanoma-exp rerun {run_id}` runs it "
            "to its end"
        )
    owner = run.tags.get("process", "")
    if run.status == "RUNNING" and provenance.is_alive(owner):
        raise UserError(f"run {run_id} is still running, as process {owner.split(':')[1]}")
    return parse_json(archive.text(run_id, EXPERIMENT)), Path(run.tags["folder"])


def open_state(folder: Path, experiment: Experiment, datamodule: DataModule) -> Saved | None:
    """Returns the checkpoint to go on from, None where the run must begin anew.

    Args:
        folder: The run's state folder.
        experiment: What is about to run.
        datamodule: Its data.

    Raises:
        UserError: Config, data or split are not those the run began with.
    """
    saved = Store(folder).newest()
    if saved is None:
        return None
    before = parse_json((folder / EXPERIMENT).read_text())
    lines = []
    if before.digest != experiment.digest:
        old, new = before.flat(), experiment.flat()
        changed = [k for k in old | new if determines(k) and old.get(k) != new.get(k)]
        lines += [f"{key}: was {old.get(key)}, is {new.get(key)}" for key in changed]
        if changed == ["train.precision"]:  # auto, on another machine
            lines.append(f"go on with train.precision={old['train.precision']}")
    was = set((folder / SPLIT).read_text().splitlines())
    now = set(_split(datamodule).splitlines())
    lines += [f"split.csv: had {row}" for row in sorted(was - now)]
    lines += [f"split.csv: has {row}" for row in sorted(now - was)]
    if saved.state["dataset"] != datamodule.data.digest and not lines:
        lines = ["dataset: files of the same names have other contents"]
    if lines:
        told = lines[:SHOWN]
        if len(lines) > SHOWN:
            told.append(f"and {len(lines) - SHOWN} more differences")
        raise UserError(
            "resume: the run did not begin with this config and data; start a new one", *told
        )
    return saved


def begin_state(folder: Path, experiment: Experiment, datamodule: DataModule) -> None:
    """Writes down what a run begins with, for `open_state`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EXPERIMENT).write_text(experiment.model_dump_json(indent=2))
    (folder / SPLIT).write_text(_split(datamodule))


def how_to_go_on(
    folder: Path,
    run_id: str | None,
    on_all: bool = False,
    program: str = "melanoma-exp",
    place: Sequence[str] = (),
) -> str:
    """Returns what to type to go on with a run.

    Args:
        folder: It was started in.
        run_id: Of the run; None looks into the folder.
        on_all: Whether to type it on every worker.
        program: The words before `resume`.
        place: Overrides that say where the run is recorded.
    """
    if run_id is None and (begun := begun_in(folder)):
        run_id = begun.run_id
    again = " ".join([program, "resume", f"{run_id}", *map(shlex.quote, place)])
    if run_id in (None, FolderRun.id):
        again = f"the same command and hydra.run.dir={folder.absolute()}"
    return f"go on with{', on every worker' * on_all}: {again}"


@contextmanager
def told_that_a_worker_is_lost(
    folder: Path, run_id: str | None, place: Sequence[str]
) -> Iterator[None]:
    """Says how to go on with a run that has lost a worker.

    Args:
        folder: It was started in.
        run_id: Of the run, None where it is new.
        place: Overrides that say where the run is recorded.

    Raises:
        LostWorkerError: One line.
    """
    try:
        yield
    except LostWorkerError as error:
        again = how_to_go_on(folder, run_id, on_all=True, place=place)
        raise LostWorkerError(f"{error}; {again}") from None


@contextmanager
def told_how_to_go_on(folder: Path, run_id: str, place: Sequence[str]) -> Iterator[None]:
    """Says how to go on with a run that a full disk or an absent store has stopped.

    Args:
        folder: It was started in.
        run_id: Of the run.
        place: Overrides that say where it is recorded.

    Raises:
        UserError: One line instead of whatever failed to be written.
    """
    try:
        yield
    except (StoreError, OSError) as error:
        line = str(error) if isinstance(error, StoreError) else why_unwritable(error)
        if not line:
            raise
        again = how_to_go_on(folder, run_id, place=place)
        raise UserError(f"{line}; mend that and {again}") from error


def _split(datamodule: DataModule) -> str:
    return datamodule.parts.to_csv(datamodule.data.samples)

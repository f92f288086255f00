"""The folder of a sweep: everything that is needed to run, watch and resume it."""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from melanoma_exp.config import Experiment, parse_json
from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.spec import UserError, validate_json
from melanoma_exp.sweep import launchers
from melanoma_exp.system.files import open_file, read_named, read_text, write
from melanoma_exp.system.writer import check_unwritten, only_writer
from melanoma_exp.tracking import AnyTracking
from melanoma_exp.tracking.place import DATABASE

SWEEP, PARENT, LOCK, RESULTS = "sweep.json", "parent_run.txt", "sweep.lock", "results"
EXPERIMENT, STATUS, LOG = "experiment.json", "status.json", "job.log"
SCHEMA = 1  # raise it when the content of `sweep.json` changes its meaning
TAIL = 8192  # bytes of a log that are read for its last lines
State = Literal[
    "waiting", "running", "finished", "failed", "stopped", "killed", "timed out", "pruned"
]


@dataclass(frozen=True)
class Status:
    """The state of a job.

    Attributes:
        state: `stopped` cleanly by a signal, `killed` without a chance to clean up, `pruned` by
            the search it is part of.
        process: Identifies the job's process, "" before it has one.
        started: Seconds since 1970 of its latest start.
        ended: Likewise; 0 while it runs.
        run_id: Of its tracked run, "" before it has one.
        score: The sweep's objective, once it has finished; None after a dry run.
        leaky: Whether the run was trained on images that it is evaluated on.
    """

    state: State
    process: str = ""
    started: float = 0.0
    ended: float = 0.0
    run_id: str = ""
    score: float | None = None
    leaky: bool = False

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to run."""
        return self.state in ("finished", "pruned")


@dataclass(frozen=True)
class Job:
    """One job of a sweep.

    Attributes:
        number: From 0, as Hydra counts.
        overrides: Of the command line that would run it alone.
        name: Of its run.
        tags: Of its run.
        folder: Of its own.
    """

    number: int
    overrides: tuple[str, ...]
    name: str
    tags: Mapping[str, str]
    folder: Path

    def experiment(self) -> Experiment:
        """Reads the experiment, with the extensions that the sweep's command named."""
        return parse_json(read_text(self.folder / EXPERIMENT), load_extensions=True)

    def status(self) -> Status:
        """Reads its state."""
        try:
            return validate_json(Status, read_named(self.folder / STATUS), STATUS)
        except UserError:
            return Status("waiting")

    def note(self, status: Status) -> None:
        """Writes its state, atomically."""
        assert status.state in get_args(State)
        write(self.folder / STATUS, json.dumps(asdict(status)))

    def last_lines(self) -> list[str]:
        """Returns the last lines of the log that are not empty, newest last."""
        try:
            with open_file(self.folder / LOG) as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL))
                text = file.read().decode(errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()]


@dataclass(frozen=True)
class Sweep:
    """A sweep as its folder has it.

    Attributes:
        folder: Of the sweep.
        name: Its tag in the tracking store.
        directory: Where it was started; relative paths in configs start there.
        launcher: Where its jobs run.
        jobs: All of them.
    """

    folder: Path
    name: str
    directory: Path
    launcher: launchers.Local | launchers.Slurm
    jobs: tuple[Job, ...]

    def save(self, experiments: Mapping[int, Experiment]) -> None:
        """Writes `sweep.json` and the experiments of new jobs.

        Raises:
            UserError: The folder holds another sweep.
        """
        if (self.folder / SWEEP).exists():
            self._check_same(experiments)
        for job in self.select(list(experiments)).jobs:
            job.folder.mkdir(parents=True, exist_ok=True)
            write(job.folder / EXPERIMENT, experiments[job.number].to_json())
        jobs = [
            {**asdict(job), "folder": os.path.relpath(job.folder, self.folder)} for job in self.jobs
        ]
        content = {
            "schema": SCHEMA,
            "name": self.name,
            "directory": os.path.relpath(self.directory, self.folder),  # it may be moved
            "place": str(self.folder.absolute()),
            "launcher": self.launcher.model_dump(mode="json"),
            "jobs": jobs,
        }
        write(self.folder / SWEEP, json.dumps(content, indent=1))

    def settle(self) -> None:
        """Lets jobs record in a store, named by its absolute path, that was moved with them."""
        content = json.loads(read_text(self.folder / SWEEP))
        now = str(self.folder.absolute())
        if (before := content.get("place", now)) == now:
            return
        for job in self.jobs:
            job.experiment()  # refuses what no sweep has written
            experiment = json.loads(read_text(job.folder / EXPERIMENT))
            store = str(experiment["tracking"].get("folder", ""))
            moved = Path(os.path.normpath(self.folder / os.path.relpath(store or ".", before)))
            if os.path.isabs(store) and (moved / DATABASE).exists():
                experiment["tracking"]["folder"] = str(moved)
                write(job.folder / EXPERIMENT, json.dumps(experiment, indent=2))
        write(self.folder / SWEEP, json.dumps({**content, "place": now}, indent=1))

    def parent(self, tracking: AnyTracking | None = None) -> str:
        """Returns the id of the parent run, "" where there is none.

        Args:
            tracking: Of a job; one that is recorded elsewhere has no parent. None asks for any job.
        """
        path = self.folder / PARENT
        elsewhere = tracking is not None and tracking != self.tracking
        return "" if elsewhere or not path.exists() else read_text(path)

    def set_parent(self, run_id: str) -> None:
        """Records which run is the parent."""
        write(self.folder / PARENT, run_id)

    @property
    def tracking(self) -> AnyTracking:
        """Where the sweep is recorded: as its first job."""
        return self.jobs[0].experiment().tracking

    @property
    def objective(self) -> Objective:
        """What its jobs are ranked by."""
        return self.jobs[0].experiment().objective

    def select(self, numbers: Sequence[int]) -> "Sweep":
        """Returns the sweep with only some of its jobs."""
        return replace(self, jobs=tuple(job for job in self.jobs if job.number in numbers))

    def _check_same(self, experiments: Mapping[int, Experiment]) -> None:
        for job in open_sweep(self.folder).jobs:
            new = experiments.get(job.number)
            if new is not None and new.digest != job.experiment().digest:
                raise UserError(
                    f"hydra.sweep.dir: {self.folder} holds another sweep (job {job.number} is "
                    f"{job.name} there); name another folder, or resume it: "
                    f"melanoma-exp resume-sweep {self.folder}"
                )


@dataclass(frozen=True)
class _Saved:
    """The content of `sweep.json`; another version may lack anything but its schema."""

    schema: int
    name: str = ""
    directory: str = ""
    launcher: Mapping[str, Any] = field(default_factory=dict)
    jobs: tuple[Job, ...] = ()


def open_sweep(folder: Path) -> Sweep:
    """Reads the folder of a sweep.

    Raises:
        UserError: It is not one, or of another version.
    """
    folder = folder.absolute()
    path = folder / SWEEP
    if not path.exists():
        raise UserError(
            f"{folder}: is not the folder of a sweep: it has no {SWEEP}; a sweep prints its folder "
            "when it starts, by default below mlruns/hydra"
        )
    saved = validate_json(_Saved, read_named(path), path)
    if saved.schema != SCHEMA:
        written = f"schema {saved.schema}, this one reads {SCHEMA}"
        raise UserError(f"{path}: was written by another version ({written})")
    if not saved.jobs:
        raise UserError(f"{path}: is damaged: it holds no jobs")
    jobs = tuple(replace(job, folder=folder / job.folder) for job in saved.jobs)
    directory = (folder / saved.directory).resolve()
    return Sweep(folder, saved.name, directory, launchers.parse(saved.launcher), jobs)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keeps a second process from launching the same sweep.

    Raises:
        UserError: One is launching it.
    """
    with only_writer(folder / LOCK, f"{folder}: this sweep"):
        yield


def check_unlocked(folder: Path) -> None:
    """Refuses the folder of a sweep that another process launches; errors as of `locked`."""
    check_unwritten(folder / LOCK, f"{folder}: this sweep")

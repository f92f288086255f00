"""A local store that was copied or moved finds its artifacts again: they lie beside its database.

MLflow keeps the absolute place of every artifact. A copy would write into the original, and lose
all when that goes.
"""

import math
import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import url2pathname

from melanoma_exp.tracking.store import DEFAULT_FOLDER

DATABASE, ARTIFACTS = "mlflow.db", "artifacts"
# MLflow's own experiment, Default, and where it wants the artifacts of it: below the folder that
# the process which made the database was started in.
DEFAULT, ITS_FOLDERS = 0, ("mlruns", "0")
WAIT = 30.0  # seconds for a database that other processes write
_EXPERIMENT = "UPDATE experiments SET artifact_location = :new WHERE experiment_id = :experiment"
_MODELS = """UPDATE logged_models SET artifact_location = :new || substr(artifact_location, :end)
WHERE experiment_id = :experiment AND substr(artifact_location, 1, :end - 1) = :old"""

_RUN = "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?"
_FOLDER = "UPDATE tags SET value = ? WHERE key = 'folder' AND run_uuid = ?"


_NAME = "mlflow.runName"  # tag of what the column of the name may lack


@dataclass(frozen=True)
class Row:
    """One run as the database has it; fields are those of MLflow's run."""

    name: str
    status: str
    start_time: int
    artifact_uri: str
    lifecycle_stage: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]

    @classmethod
    def of(cls, run: Any) -> "Row":
        """Returns the row of a run that MLflow has read."""
        info, data = run.info, run.data
        named = info.run_name, info.status, info.start_time, info.artifact_uri
        return cls(*named, info.lifecycle_stage, data.params, data.metrics, data.tags)


def settle(folder: Path) -> None:
    """Corrects in the database of a store where its artifacts are, if they are elsewhere now.

    An experiment whose artifacts were put elsewhere on purpose stays as it is, and so do runs whose
    artifacts were left behind. MLflow's own experiment gets a place beside the database while it
    has no runs.

    Args:
        folder: Holds the database.

    Raises:
        sqlite3.Error: The database cannot be read or written.
    """
    here = folder.resolve()
    with closing(_connect(here, "rw")) as database:
        known = database.execute("SELECT experiment_id, artifact_location FROM experiments")
        for experiment, location in known.fetchall():
            before = path_of(location or "")
            its_own = experiment == DEFAULT and before and before.parts[-2:] == ITS_FOLDERS
            if before is None or not (its_own or before.name == ARTIFACTS):
                continue
            runs = dict(
                database.execute(
                    "SELECT run_uuid, artifact_uri FROM runs WHERE experiment_id = ?", (experiment,)
                )
            )
            is_unused = experiment == DEFAULT and not runs
            now = here / (ARTIFACTS if is_unused else before.name)
            is_here = [now / run_id for run_id in runs]
            if (is_unused and before != now) or _is_moved(before.parent, here, is_here):
                with database:  # all or nothing
                    _rewrite(database, experiment, location, before, now, runs)


def settle_if_possible(folder: Path) -> None:
    """Does the same, or leaves all as it is where the database is read-only or busy."""
    with suppress(sqlite3.Error):
        settle(folder)


def has_run(folder: Path, run_id: str) -> bool:
    """Whether the database that a store has now knows a run; one that is busy may."""
    try:
        with closing(_connect(folder, "ro")) as database:
            found = database.execute("SELECT 1 FROM runs WHERE run_uuid = ?", (run_id,))
            return found.fetchone() is not None
    except sqlite3.OperationalError:
        return (folder / DATABASE).exists()


def run_ids(folder: Path, prefix: str, most: int) -> list[str]:
    """Returns the ids of the newest runs that begin so; none where the store cannot be read."""
    with suppress(sqlite3.Error), closing(_connect(folder, "ro")) as database:
        found = database.execute(
            "SELECT run_uuid FROM runs WHERE lifecycle_stage = 'active' "
            "AND substr(run_uuid, 1, ?) = ? ORDER BY start_time DESC LIMIT ?",
            (len(prefix), prefix, most),
        )
        return [run_id for (run_id,) in found]
    return []


def read_run(folder: Path, run_id: str) -> Row | None:
    """Returns a run of a store, None where it has none such; without MLflow, which takes a second.

    Raises:
        sqlite3.Error: The database cannot be read, or is of a version with other tables.
    """
    with closing(_connect(folder, "ro")) as database:
        found = database.execute(
            "SELECT name, status, start_time, artifact_uri, lifecycle_stage FROM runs "
            "WHERE run_uuid = ?",
            (run_id,),
        ).fetchone()
        if found is None:
            return None
        params, metrics, tags = (
            dict(
                database.execute(f"SELECT key, {value} FROM {table} WHERE run_uuid = ?", (run_id,))
            )
            for table, value in (
                ("params", "value"),
                ("latest_metrics", "CASE WHEN is_nan THEN NULL ELSE value END"),
                ("tags", "value"),
            )
        )
    name, status, started, artifacts, stage = found
    known = {key: math.nan if value is None else value for key, value in metrics.items()}
    name = name or tags.get(_NAME, "")
    return Row(name, status, started, artifacts, stage, params, known, tags)


def no_run(uri: str, run_id: str) -> str:
    """Returns what is said of an id that a local store does not have."""
    folder = Path(uri.removeprefix("sqlite:///")).parent
    storage = "" if folder == DEFAULT_FOLDER else f" {shlex.quote(f'tracking.folder={folder}')}"
    return f"{uri} has no run {run_id}; to see its runs: melanoma-exp runs{storage}"


def _connect(folder: Path, mode: str) -> sqlite3.Connection:
    uri = f"file:{quote(str(folder.absolute() / DATABASE))}?mode={mode}"
    return sqlite3.connect(uri, timeout=WAIT, uri=True)


def store_of(uri: str) -> Path | None:
    """Returns the folder of a local store by its tracking URI, None of any other."""
    path = Path(uri.removeprefix("sqlite:///"))
    return path.parent if uri.startswith("sqlite:///") and path.name == DATABASE else None


def path_of(uri: str) -> Path | None:
    """Returns the path of an artifact on this machine; None where it is a server's."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return Path(url2pathname(parts.path))
    return Path(uri) if uri.startswith("/") else None


def _is_moved(before: Path, here: Path, artifacts: list[Path]) -> bool:
    """Whether a store was at another place when an experiment was made."""
    if before == here or (before.exists() and before.samefile(here)):
        return False
    # The original is still there, or what it held is here now.
    return (before / DATABASE).exists() or any(path.exists() for path in artifacts)


def _rewrite(
    database: sqlite3.Connection,
    experiment: int,
    location: str,
    before: Path,
    now: Path,
    runs: dict[str, str],
) -> None:
    new = now.as_uri() if location.startswith("file:") else str(now)
    key = {"experiment": experiment, "old": location, "new": new, "end": len(location) + 1}
    database.execute(_EXPERIMENT, key)
    database.execute(_MODELS, key)
    for run_id, uri in runs.items():
        was_left = (before / run_id).exists() and not (now / run_id).exists()
        if (uri or "").startswith(f"{location}/") and not was_left:
            changed = new + uri.removeprefix(location)
            database.execute(_RUN, (changed, run_id))
    for run_id, folder in _folders(database, experiment, before.parent, now.parent):
        database.execute(_FOLDER, (str(folder), run_id))


def _folders(
    database: sqlite3.Connection, experiment: int, before: Path, here: Path
) -> Iterator[tuple[str, Path]]:
    """Yields where the folders are now that runs were started in, if they were moved too."""
    known = database.execute(
        "SELECT run_uuid, value FROM tags JOIN runs USING (run_uuid) "
        "WHERE key = 'folder' AND experiment_id = ?",
        (experiment,),
    )
    for run_id, value in known.fetchall():
        folder = Path(value)
        if folder.is_relative_to(before):
            yield run_id, here / folder.relative_to(before)
        elif folder.is_relative_to(before.parent):  # the project, by default
            yield run_id, here.parent / folder.relative_to(before.parent)

"""What people delete from a store: runs, and for good what runs have left in it."""

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from melanoma_exp.spec import UserError
from melanoma_exp.tracking import place
from melanoma_exp.tracking.connection import connect, store_errors


def deleted(uri: str) -> list[tuple[str, str]]:
    """Returns id and name of every deleted run of a store, oldest first.

    Raises:
        UserError: The store does not answer.
    """
    from mlflow.entities import ViewType

    client = connect(uri)
    with store_errors(uri):
        numbers = [one.experiment_id for one in client.search_experiments(ViewType.ALL)]
        found: list[Any] = []
        token = None
        while numbers:
            page = client.search_runs(
                numbers, "", ViewType.DELETED_ONLY, order_by=["start_time"], page_token=token
            )
            found += page
            if not (token := page.token):
                break
    return [(run.info.run_id, run.info.run_name or "") for run in found]


def delete(uri: str, run_id: str) -> None:
    """Deletes a run; the store keeps all of it until `purge`, and MLflow can restore it.

    Raises:
        UserError: There is no such run, or the store does not answer.
    """
    with store_errors(uri):
        connect(uri).delete_run(run_id)


def purge(folder: Path, run_id: str) -> int:
    """Removes a deleted run of a local store for good, with its files and checkpoints.

    Nothing outside of the store is touched: a run whose artifacts are elsewhere loses its record.

    Args:
        folder: Of the store.
        run_id: Of the run.

    Returns:
        Bytes that were freed, but for those of the database.

    Raises:
        UserError: It is not deleted or holds a registered model, or the store cannot be written.
    """
    uri = f"sqlite:///{folder.as_posix()}/{place.DATABASE}"
    with store_errors(uri):
        if connect(uri).get_run(run_id).info.lifecycle_stage != "deleted":
            raise UserError(f"runs gc: run {run_id} is not deleted, so it is not removed")
    _check_unregistered(uri, run_id)
    models, freed = _models(folder, run_id), 0
    artifacts = folder / place.ARTIFACTS
    # The files first: what a kill leaves is a deleted run, which the next call removes.
    for path in (
        artifacts / run_id,
        *(artifacts / "models" / name for name in models),
        folder / "checkpoints" / run_id,
        folder / "spool" / run_id,
    ):
        if path.is_dir() and not path.is_symlink():
            freed += sum(f.lstat().st_size for f in path.rglob("*") if f.is_file())
            try:
                shutil.rmtree(path)
            except OSError as error:
                raise UserError(f"runs gc: {error.filename}: {error.strerror}") from error
    _forget(uri, run_id, models)
    return freed


def _models(folder: Path, run_id: str) -> list[str]:
    with closing(sqlite3.connect(folder / place.DATABASE, timeout=place.WAIT)) as database:
        rows = database.execute(
            "SELECT model_id FROM logged_models WHERE source_run_id = ?", [run_id]
        )
        return [name for (name,) in rows.fetchall()]


def _check_unregistered(uri: str, run_id: str) -> None:
    with store_errors(uri):
        versions = connect(uri).search_model_versions(f"run_id = '{run_id}'")
    if versions:
        raise UserError(
            f"runs gc: run {run_id} holds version {versions[0].version} of the registered model "
            f"{versions[0].name}; delete that first, or restore the run in MLflow"
        )


def _forget(uri: str, run_id: str, models: Sequence[str]) -> None:
    """Removes the record by the store that `mlflow gc` uses, for nothing public does.

    That command itself deletes files wherever the record says they are, also outside of the store,
    and leaves the logged model.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    with store_errors(uri):
        store = SqlAlchemyStore(uri, str(Path(uri.removeprefix("sqlite:///")).parent))
        for name in models:
            store.delete_logged_model(name)
            store._hard_delete_logged_model(name)
        store._hard_delete_run(run_id)

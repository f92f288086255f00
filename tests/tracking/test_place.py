"""A local store that is copied or moved finds what lies beside it and writes nowhere else."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp.spec import UserError
from melanoma_exp.tracking import place
from melanoma_exp.tracking.archive import Archive
from melanoma_exp.tracking.local import Local, create_store

FOLDERS = ["mlruns", "old runs 100% #1 (copy)", "Übung=1"]


def local(folder: Path, experiment: str = "melanoma_exp") -> Local:
    return Local(kind="local", folder=folder, experiment=experiment)


def recorded(folder: Path) -> list[str]:
    """Returns every place that the database names."""
    with sqlite3.connect(folder / "mlflow.db") as database:
        rows = database.execute(
            "SELECT artifact_location FROM experiments UNION ALL "
            "SELECT artifact_uri FROM runs UNION ALL SELECT artifact_location FROM logged_models "
            "UNION ALL SELECT value FROM tags WHERE key = 'folder'"
        )
        return [str(place.path_of(value) or value) for (value,) in rows]


def log(folder: Path, name: str, experiment: str = "melanoma_exp") -> tuple[Any, Path]:
    """Records a run with one file and returns it with the place of the file."""
    run = local(folder, experiment).start(name, folder / "hydra" / name)
    file = folder.parent / "note.txt"
    file.write_text(name)
    run.log_file(file)
    run.set_tags({"folder": str(folder.absolute() / "hydra" / name)})
    run.end("FINISHED")
    return run, folder / "artifacts" / run.id / "artifacts" / "note.txt"


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store without runs."""
    folder = tmp_path_factory.mktemp("empty")
    create_store(folder)
    return folder


@pytest.fixture
def original(empty: Path, tmp_path: Path) -> tuple[Path, str]:
    """A project with a store and a run."""
    folder = tmp_path / "A" / "mlruns"
    shutil.copytree(empty, folder)  # to make its tables takes seconds
    run, file = log(folder, "first")
    assert file.read_text() == "first"
    return folder, run.id


@pytest.mark.parametrize("name", FOLDERS)
def test_a_copy_lives_without_the_original_and_never_writes_there(
    original: tuple[Path, str], tmp_path: Path, name: str
) -> None:
    folder, run_id = original
    copy = tmp_path / "B" / name
    shutil.copytree(folder, copy)
    before = sorted(folder.rglob("*")), (folder / "mlflow.db").read_bytes()
    _, file = log(copy, "second")
    assert file.read_text() == "second"
    (copy / "artifacts" / run_id / "artifacts" / "note.txt").write_text("the copy's")
    assert local(copy).archive().text(run_id, "note.txt") == "the copy's"
    assert all(Path(path).is_relative_to(copy) for path in recorded(copy)), recorded(copy)
    assert (sorted(folder.rglob("*")), (folder / "mlflow.db").read_bytes()) == before
    shutil.rmtree(folder.parent)
    moved = tmp_path / "C" / "D" / "runs"
    moved.parent.mkdir(parents=True)
    copy.rename(moved)
    archive = local(moved).archive()
    assert archive.text(run_id, "note.txt") == "the copy's"
    assert Path(archive.run(run_id).tags["folder"]) == moved / "hydra" / "first"
    _, file = log(moved, "third")
    assert file.read_text() == "third"
    assert all(Path(path).is_relative_to(moved) for path in recorded(moved)), recorded(moved)
    assert not folder.exists() and not copy.exists()


def test_mlflows_own_experiment_is_copied_as_any_other(empty: Path, tmp_path: Path) -> None:
    folder, copy = tmp_path / "A" / "store", tmp_path / "B"
    shutil.copytree(empty, folder)
    first, file = log(folder, "first", "Default")
    assert file.read_text() == "first"
    shutil.copytree(folder, copy)
    _, file = log(copy, "second", "Default")
    assert file.read_text() == "second"
    shutil.rmtree(folder.parent)
    assert local(copy).archive().text(first.id, "note.txt") == "first"
    assert all(Path(path).is_relative_to(copy) for path in recorded(copy)), recorded(copy)


def test_so_are_runs_that_mlflow_has_put_where_it_wants(empty: Path, tmp_path: Path) -> None:
    folder, copy = tmp_path / "A" / "mlruns", tmp_path / "B" / "mlruns"
    shutil.copytree(empty, folder)
    with sqlite3.connect(folder / "mlflow.db") as database:
        place_of_it = (str(folder / "0"),)
        database.execute("UPDATE experiments SET artifact_location = ?", place_of_it)
    first = mlflow_client(folder).create_run("0").info.run_id
    mlflow_client(folder).log_text(first, "first", "note.txt")
    assert (folder / "0" / first / "artifacts" / "note.txt").exists()
    shutil.copytree(folder, copy)
    second, _ = log(copy, "second", "Default")
    assert (copy / "0" / second.id / "artifacts" / "note.txt").read_text() == "second"
    shutil.rmtree(folder.parent)
    assert local(copy).archive().text(first, "note.txt") == "first"


def test_a_store_that_cannot_be_written_is_read_all_the_same(
    original: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, run_id = original
    copy = tmp_path / "copy"
    folder.rename(copy)

    def refuse(*arguments: object) -> None:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr(place, "_rewrite", refuse)
    assert local(copy).archive().text(run_id, "note.txt") == "first"
    with pytest.raises(UserError, match=r"^tracking.folder: cannot write .* a readonly database"):
        local(copy).start("next", tmp_path)
    assert not folder.exists()


def test_what_lies_elsewhere_on_purpose_or_was_left_behind_stays(
    original: tuple[Path, str], tmp_path: Path
) -> None:
    folder, run_id = original
    other = tmp_path / "big disk" / "artifacts"
    mlflow_client(folder).create_experiment("elsewhere", other.as_uri())
    elsewhere = Local(kind="local", folder=folder, experiment="elsewhere").start("r", tmp_path)
    elsewhere.log_file(tmp_path / "A" / "note.txt")
    elsewhere.end("FINISHED")
    bare = tmp_path / "backup"
    bare.mkdir()
    shutil.copy2(folder / "mlflow.db", bare)  # the database alone
    archive = Archive(f"sqlite:///{bare}/mlflow.db", "melanoma_exp", bare / "spool")
    assert archive.text(run_id, "note.txt") == "first"
    assert archive.text(elsewhere.id, "note.txt") == "first"
    _, file = log(bare, "next")
    assert file.read_text() == "next"  # here, though the old ones are there
    folder.rename(tmp_path / "renamed")
    archive = local(tmp_path / "renamed").archive()
    assert archive.text(elsewhere.id, "note.txt") == archive.text(run_id, "note.txt") == "first"
    assert Path(place.path_of(archive.run(elsewhere.id).artifacts) or "").is_relative_to(other)


def test_a_store_behind_a_link_stays_as_it_is(original: tuple[Path, str], tmp_path: Path) -> None:
    folder, run_id = original
    before = recorded(folder)
    (tmp_path / "link").symlink_to(folder.parent)
    archive = local(tmp_path / "link" / "mlruns").archive()
    assert archive.text(run_id, "note.txt") == "first" and recorded(folder) == before


def test_what_waits_in_a_copied_spool_goes_to_the_copy(
    original: tuple[Path, str], tmp_path: Path
) -> None:
    from melanoma_exp.cli.commands import COMMANDS
    from melanoma_exp.tracking.journal import Entry, Journal

    folder, run_id = original
    journal = Journal(run_id, local(folder).journal_root())
    journal.open(local(folder).describe(), "first")
    journal.append(Entry("tags", {"late": "yes"}))
    journal._lock.close()
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    COMMANDS["sync"]([run_id, f"tracking.folder={copy}"])
    assert local(copy).archive().run(run_id).tags["late"] == "yes"
    assert "late" not in local(folder).archive().run(run_id).tags


def test_a_run_is_read_without_mlflow_as_mlflow_reads_it(original: tuple[Path, str]) -> None:
    folder, run_id = original
    client, opened = mlflow_client(folder), local(folder).archive()
    other = client.create_run("0").info.run_id
    for key, value in {"a": 0.5, "a/b": float("nan"), "c": float("inf"), "d": -1e300}.items():
        client.log_metric(other, key, 7.0)
        client.log_metric(other, key, value, step=2)
    client.log_param(other, "model.kind", "m1")
    client.delete_run(other)
    for one in (run_id, other):
        assert repr(place.read_run(folder, one)) == repr(place.Row.of(client.get_run(one)))
    assert opened.run(other).deleted and opened.run(run_id).name == "first"
    assert "_client" not in vars(opened)


def mlflow_client(folder: Path) -> Any:
    import mlflow

    return mlflow.MlflowClient(f"sqlite:///{folder}/mlflow.db")

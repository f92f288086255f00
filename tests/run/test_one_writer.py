"""Of two processes that want the same run one writes it; what has finished stays finished."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from small_run import experiment, overrides, runs, store
from stopped_run import interrupted, run_command
from stored_runs import Store

from melanoma_exp.run import resume, runner
from melanoma_exp.spec import UserError
from melanoma_exp.tracking.journal import Entry, Journal

HOLD = (
    "import sys, time; from pathlib import Path; from melanoma_exp.system import writer\n"
    "with writer.only_writer(Path(sys.argv[1]), 'it'):\n"
    "    print('held', flush=True); time.sleep(100)"
)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A place with a run that was stopped, as far as its store and its folder say; and its id."""
    place = tmp_path_factory.mktemp("place")
    tags = {"folder": str(place / "job"), "process": "elsewhere:1:2"}
    run_id = Store(place / "mlruns").write("seed=1", status="KILLED", tags=tags)
    resume.save_started_run(place / "job", resume.StartedRun(run_id, None))
    return place, run_id


def holder(path: Path) -> subprocess.Popen[str]:
    """Starts a process that holds a lock."""
    command = [sys.executable, "-c", HOLD, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def everything(place: Path) -> dict[str, tuple[int, int]]:
    """Returns size and time of every file of a place, but of locks."""
    files = (path for path in place.rglob("*") if path.is_file() and "lock" not in path.name)
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in files}


def said_and_refused(place: Path, *words: str) -> str:
    """Returns the one line with which the command line refuses."""
    command = [sys.executable, "-m", "melanoma_exp", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=place)
    assert done.returncode == 2 and not done.stdout, done
    (line,) = done.stderr.splitlines()
    return line


def test_a_run_that_another_process_writes_is_left_alone(stopped: tuple[Path, str]) -> None:
    place, run_id = stopped
    other = holder(place / "mlruns" / "checkpoints" / f".{run_id}.lock")
    before = everything(place)
    try:
        with pytest.raises(UserError, match=f"^run {run_id} is being .* process {other.pid}, sinc"):
            run_command("resume", place, run_id)
        assert everything(place) == before
    finally:
        other.kill()
        other.communicate()


def test_a_job_in_whose_folder_another_process_works_is_refused_untouched(
    images: Path, stopped: tuple[Path, str]
) -> None:
    place, run_id = stopped
    (place / "job" / ".hydra").mkdir()  # as a command line leaves it
    (place / "job" / ".hydra" / "overrides.yaml").write_text("- seed=1")
    other = holder(place / "job" / "run.lock")
    before = everything(place)
    command = [*overrides(images, place, "seed=2"), f"hydra.run.dir='{place / 'job'}'"]
    try:
        refused = said_and_refused(place, *command)
        assert refused.startswith(f"{place}/job: the run in this folder is being written by ")
        assert f"process {other.pid}, since" in refused
        for attempt in (
            lambda: runner.start(experiment(images, place), place / "job", {}),
            lambda: run_command("resume", place, run_id),  # its folder is the same
        ):
            with pytest.raises(UserError, match=f"by process {other.pid}"):
                attempt()
        assert everything(place) == before
    finally:
        other.kill()
        other.communicate()


def test_a_sweep_that_another_process_launches_is_refused_untouched(
    images: Path, tmp_path: Path
) -> None:
    place = tmp_path / "sweep"
    other = holder(place / "sweep.lock")
    words = overrides(images, tmp_path, "seed=1,2", f"hydra.sweep.dir='{place}'")
    try:
        refused = said_and_refused(tmp_path, "-m", *words)
        assert refused.startswith(f"{place}: this sweep is being written by process {other.pid}, ")
        assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["sweep.lock"]
    finally:
        other.kill()
        other.communicate()


def test_a_finished_run_is_never_downgraded(finished: tuple[Path, object, Path]) -> None:
    place, run, _ = finished
    run_id = run.info.run_id  # type: ignore[attr-defined]
    from melanoma_exp.tracking.local import Local

    local = Local(kind="local", folder=place / "mlruns", experiment="melanoma_exp")
    with pytest.raises(UserError, match=f"run {run_id} has finished; nothing is left to resume"):
        local.start("again", place / "job", run_id)
    journal = Journal(run_id, local.journal_root())  # of a process that lost its store
    journal.open(local.describe(), "run")
    journal.append(Entry("status", {"status": "KILLED", "time": 1}))
    journal._lock.close()
    local.sync(run_id)
    local.archive().mark_killed(run_id)
    assert store(place).get_run(run_id).info.status == "FINISHED"
    assert not journal.folder.exists()


def test_a_job_that_died_between_its_end_and_its_note_of_it_has_finished(
    images: Path, finished: tuple[Path, object, Path], capsys: pytest.CaptureFixture
) -> None:
    place, run, _ = finished
    noted, known = resume.find_started_run(place), len(runs(place))
    assert noted is not None and noted.scores
    resume.save_started_run(place, resume.StartedRun(noted.run_id, None))
    assert runner.start(experiment(images, place), place, {}) == noted.scores
    assert "has finished here already" in capsys.readouterr().out
    assert resume.find_started_run(place) == noted
    assert len(runs(place)) == known  # other tests may have made runs there


@pytest.mark.slow
def test_of_two_that_resume_a_run_at_once_one_does_and_it_ends_once(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = interrupted(images, tmp_path, monkeypatch, "train.epochs=6")
    words = ["resume", run_id, f"tracking.folder={tmp_path}/mlruns", f"cache.dir={tmp_path}/cache"]
    job = [*overrides(images, tmp_path, "train.epochs=6"), f"hydra.run.dir={tmp_path}/job"]
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "melanoma_exp", *command],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        )
        for command in (words, words, job)
    ]
    said = [process.communicate()[0] for process in started]
    assert sorted(process.returncode for process in started) == [0, 2, 2], said
    (run,) = runs(tmp_path)
    assert run.info.status == "FINISHED"
    points = store(tmp_path).get_metric_history(run_id, "val/loss")
    assert [point.step for point in points] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("text", ["[]", "{", '{"run_id": 3, "scores": null}'])
def test_a_damaged_note_of_the_run_is_named_and_starts_no_second_one(
    tmp_path: Path, text: str
) -> None:
    assert resume.find_started_run(tmp_path) is None
    started = resume.StartedRun("abc", {"val": {"accuracy": 0.5}}, True)
    resume.save_started_run(tmp_path, started)
    assert resume.find_started_run(tmp_path) == started
    (tmp_path / resume.STARTED).write_text(text)
    with pytest.raises(UserError, match=r"run\.json: is damaged.*remove it to start the job anew"):
        resume.find_started_run(tmp_path)

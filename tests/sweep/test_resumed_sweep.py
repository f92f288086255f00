"""A sweep that was stopped or killed says how to resume it, and ends as one that was not."""

import json
import signal
import time
from pathlib import Path

import psutil
import pytest
from launched import apart
from small_run import runs, store
from sweeps import ended, jobs_csv, melanoma_exp, parent_of, words


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_stopped_sweep_says_how_to_resume_it_and_resumes(images: Path, tmp_path: Path) -> None:
    command = words(images, tmp_path, "seed=1,2", "train.epochs=5000")
    process = melanoma_exp(tmp_path, "-m", *command)
    log = tmp_path / "sweep/0/job.log"
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and not (log.exists() and "epoch 3/" in log.read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    code, said = ended(process, 120)
    assert code == 143, said
    assert f"resume with: melanoma-exp resume-sweep {tmp_path}/sweep" in said
    assert [row["state"] for row in jobs_csv(tmp_path)] == ["stopped", "waiting"]
    assert parent_of(tmp_path).info.status == "KILLED"
    assert "resumes: " in ended(melanoma_exp(tmp_path, "resume-sweep", "sweep", "--dry-run"))[1]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_jobs_of_a_killed_launcher_stop_and_are_resumed_exactly(
    images: Path, tmp_path: Path
) -> None:
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    more = ["seed=1,2", "train.epochs=30", "hydra.launcher.slots=2"]
    whole, place = tmp_path / "whole", tmp_path / "killed"
    code, said = ended(melanoma_exp(whole, "-m", *words(images, whole, *more)), 700)
    assert code == 0, said
    launcher = melanoma_exp(place, "-m", *words(images, place, *more))
    logs = [place / f"sweep/{k}/job.log" for k in (0, 1)]
    while not all(log.exists() and "epoch 3/" in log.read_text() for log in logs):
        assert launcher.poll() is None
        time.sleep(0.05)
    left = psutil.Process(launcher.pid).children(recursive=True)
    launcher.kill()
    _, left = psutil.wait_procs(left, 60)
    assert [process for process in left if process.status() != "zombie"] == []
    statuses = [json.loads((place / f"sweep/{k}/status.json").read_text()) for k in (0, 1)]
    assert [status["state"] for status in statuses] == ["stopped", "stopped"]
    stopped = [store(place).get_run(status["run_id"]).info.status for status in statuses]
    assert stopped == ["KILLED", "KILLED"]

    code, said = ended(melanoma_exp(place, "resume-sweep", "sweep"), 700)
    assert code == 0, said
    assert parent_of(place).info.status == "FINISHED" and len(runs(place)) == 3
    for number in (0, 1):
        found = [
            next(run for run in runs(where) if run.data.tags.get("job") == str(number))
            for where in (whole, place)
        ]
        run_id = found[1].info.run_id
        assert run_id == statuses[number]["run_id"] and found[1].info.status == "FINISHED"
        points = store(place).get_metric_history(run_id, "val/loss")
        assert [point.step for point in points] == list(range(1, 31))
        one, other = (Path(run.info.artifact_uri.removeprefix("file://")) for run in found)
        assert apart(one, other) == 0

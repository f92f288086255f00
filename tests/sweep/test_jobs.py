"""A sweep without running jobs: threads and GPUs, the best job, its folder."""

import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from small_run import experiment

from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import folder, launchers, local, preload
from melanoma_exp.sweep.folder import Job, Status
from melanoma_exp.system import writer


def test_threads_are_shared_by_slots_and_each_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def options(**more: Any) -> launchers.Local:
        given = {"slots": None, "threads": None, "timeout_minutes": None, "grace_seconds": 1}
        return launchers.Local(kind="local", **{**given, **more})

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert local.count(options()) == 1 and local.environment(options(), 0) == {}
    assert local.environment(options(slots=3), 2) == dict.fromkeys(local.THREADS, "2")
    assert local.environment(options(threads=5), 0)["TF_NUM_INTRAOP_THREADS"] == "5"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a")
    assert local.count(options()) == 2
    devices = [local.environment(options(slots=3), k)["CUDA_VISIBLE_DEVICES"] for k in range(3)]
    assert devices == ["4", "GPU-a", "4"]


def test_a_leaky_job_is_never_the_best() -> None:
    from melanoma_exp.sweep.progress import describe, find_best

    accuracy = Objective("val/balanced_accuracy", {"val/balanced_accuracy": True})
    jobs = [Job(k, (), f"run{k}", {}, Path()) for k in range(4)]
    statuses = [
        Status("finished", score=0.5),
        Status("finished", score=0.9, leaky=True),
        Status("running"),
        Status("finished"),
    ]
    best = find_best(list(zip(jobs, statuses, strict=True)), accuracy)
    assert best is not None and best[0].number == 0
    assert describe(statuses[1], accuracy).endswith("balanced accuracy 0.900 (leaky)")
    assert find_best([(jobs[1], statuses[1])], accuracy) is None


def test_a_folder_that_is_no_sweep_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UserError, match="is not the folder of a sweep: it has no sweep.json"):
        folder.open_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="another version"):
        folder.open_sweep(tmp_path)
    with folder.locked(tmp_path):
        monkeypatch.setattr(writer, "_held", {})  # as if this were another process
        for start in (folder.locked(tmp_path).__enter__, lambda: folder.check_unlocked(tmp_path)):
            with pytest.raises(
                UserError, match=f"this sweep is .* by process {os.getpid()}, since"
            ):
                start()


def test_the_best_job_follows_the_direction_of_the_objective() -> None:
    from melanoma_exp.sweep.progress import find_best

    jobs = [(Job(k, (), "", {}, Path()), Status("finished", score=k / 10)) for k in (2, 1, 3)]
    for name, up, number in (("val/macro_auc", True, 3), ("val/brier", False, 1)):
        best = find_best(jobs, Objective(name, {name: up}))
        assert best is not None and best[0].number == number


def test_what_is_preloaded_exists() -> None:
    own = [name for name in preload.MODULES if name.startswith("melanoma_exp.")]
    assert own and not [name for name in own if importlib.util.find_spec(name) is None]


def test_the_jobs_of_a_sweep_that_was_moved_record_beside_it(images: Path, tmp_path: Path) -> None:
    here, there = tmp_path / "A", tmp_path / "moved here" / "B"
    place = here / "mlruns" / "hydra" / "sweep"
    launcher = launchers.parse(
        {"kind": "local", "slots": 1, "threads": 1, "timeout_minutes": None, "grace_seconds": 1}
    )
    job = Job(0, ("seed=1",), "one", {}, place / "0")
    started = folder.Sweep(place, "hydra/sweep", here, launcher, (job,))
    place.mkdir(parents=True)
    started.save({0: experiment(images, here)})  # with the store as an absolute path
    (here / "mlruns" / "mlflow.db").touch()
    shutil.copytree(here, there)
    for at, store in ((here, here), (there, there)):
        sweep = folder.open_sweep(at / "mlruns" / "hydra" / "sweep")
        sweep.settle()
        assert sweep.directory == at and sweep.name == "hydra/sweep"
        assert sweep.tracking.state_folder(Path()) == store / "mlruns" / "checkpoints"
    before = folder.open_sweep(there / "mlruns" / "hydra" / "sweep").jobs[0].experiment()
    assert before.digest == job.experiment().digest

"""A sweep without running jobs: threads and GPUs, the best job, its folder."""

import importlib.util
import json
import os
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp.evaluation.objectives import Objective
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import folder, launchers, local, preload
from melanoma_exp.sweep.folder import Job, Status


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


def test_a_folder_that_is_no_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not the folder of a sweep: it has no sweep.json"):
        folder.open_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="another version"):
        folder.open_sweep(tmp_path)
    with folder.locked(tmp_path), pytest.raises(UserError, match=f"by process {os.getpid()}"):
        with folder.locked(tmp_path):
            pass


def test_the_best_job_follows_the_direction_of_the_objective() -> None:
    from melanoma_exp.sweep.progress import find_best

    jobs = [(Job(k, (), "", {}, Path()), Status("finished", score=k / 10)) for k in (2, 1, 3)]
    for name, up, number in (("val/macro_auc", True, 3), ("val/brier", False, 1)):
        best = find_best(jobs, Objective(name, {name: up}))
        assert best is not None and best[0].number == number


def test_what_is_preloaded_exists() -> None:
    own = [name for name in preload.MODULES if name.startswith("melanoma_exp.")]
    assert own and not [name for name in own if importlib.util.find_spec(name) is None]

"""What a sweep decides without a job: threads and GPUs, the best job, whose folder it is."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from melanoma_exp.spec import UserError
from melanoma_exp.sweep import folder, slots, spec
from melanoma_exp.sweep.folder import Job, Status


def test_threads_are_shared_by_slots_and_each_has_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def local(**more: Any) -> spec.Local:
        given = {"slots": None, "threads": None, "timeout_minutes": None, "grace_seconds": 1}
        return spec.Local(kind="local", **{**given, **more})

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert slots.count(local()) == 1 and slots.environment(local(), 0) == {}
    assert slots.environment(local(slots=3), 2) == dict.fromkeys(slots.THREADS, "2")
    assert slots.environment(local(threads=5), 0)["TF_NUM_INTRAOP_THREADS"] == "5"
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,GPU-a")
    assert slots.count(local()) == 2
    devices = [slots.environment(local(slots=3), k)["CUDA_VISIBLE_DEVICES"] for k in range(3)]
    assert devices == ["4", "GPU-a", "4"]


def test_a_leaky_job_is_never_the_best() -> None:
    from melanoma_exp.sweep.screen import find_best, told

    jobs = [Job(k, (), f"run{k}", {}, Path()) for k in range(4)]
    statuses = [
        Status("finished", score=0.5),
        Status("finished", score=0.9, leaky=True),
        Status("running"),
        Status("finished"),
    ]
    best = find_best(list(zip(jobs, statuses, strict=True)))
    assert best is not None and best[0].number == 0
    assert told(statuses[1]).endswith("0.900 (leaky)")
    assert find_best([(jobs[1], statuses[1])]) is None


def test_a_folder_that_is_no_sweep_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder of a sweep: it has no sweep.json"):
        folder.open_sweep(tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"schema": 0}))
    with pytest.raises(UserError, match="another version"):
        folder.open_sweep(tmp_path)
    with folder.alone(tmp_path), pytest.raises(UserError, match=f"by process {os.getpid()}"):
        with folder.alone(tmp_path):
            pass

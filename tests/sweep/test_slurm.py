"""Through a real Slurm, on this machine: a sweep of three jobs, and a training of two tasks."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from small_run import overrides, runs

CLUSTER = Path(__file__).parents[1] / "support" / "slurm" / "cluster.sh"
PROGRAMS = ("munged", "slurmctld", "slurmd", "srun", "sbatch")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Gives the environment of commands that talk to a cluster of this machine."""
    if missing := [name for name in PROGRAMS if not shutil.which(name)]:
        pytest.skip(f"needs Debian's packages slurm-wlm and munge: {', '.join(missing)} missing")
    pytest.importorskip("submitit", reason="needs the extra sweep")
    if os.getuid():
        pytest.skip("needs root: slurmd starts jobs under their owner's name")
    folder = tmp_path_factory.mktemp("slurm")
    try:
        subprocess.run([CLUSTER, "up", folder], check=True, timeout=60)
        yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf")}
    finally:
        subprocess.run([CLUSTER, "down", folder], check=True, timeout=60)


def test_a_sweep_of_three_jobs_goes_through_slurm(
    cluster: dict[str, str], images: Path, tmp_path: Path
) -> None:
    command = [
        sys.executable,
        "-m",
        "melanoma_exp",
        "-m",
        *overrides(images, tmp_path),
        "seed=1,2,3",
        "hydra/launcher=slurm",
        "hydra.launcher.threads=1",
        "hydra.launcher.memory_gb=2",
        "hydra.launcher.timeout_minutes=20",
        f"hydra.sweep.dir={tmp_path / 'sweep'}",
    ]
    ended = subprocess.run(command, env=cluster, capture_output=True, text=True, timeout=1400)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "3 of 3 done, 0 failed" in ended.stdout
    jobs = [run for run in runs(tmp_path) if "sweep_parent" not in run.data.tags]
    assert sorted(job.data.params["seed"] for job in jobs) == ["1", "2", "3"]
    assert {run.info.status for run in runs(tmp_path)} == {"FINISHED"}
    assert (tmp_path / "sweep" / "results" / "jobs.csv").is_file()


def test_two_tasks_train_as_one_process_does(
    cluster: dict[str, str], images: Path, tmp_path: Path
) -> None:
    words = [*overrides(images, tmp_path), "train.precision=float32"]
    alone = [sys.executable, "-m", "melanoma_exp", *words, "name=alone"]
    subprocess.run(alone, check=True, timeout=600)
    quoted = " ".join(f"'{w}'" for w in words)
    script = tmp_path / "job.sh"
    script.write_text(
        "#!/bin/bash\n#SBATCH --ntasks=2 --cpus-per-task=1\n"
        f"srun {sys.executable} -m melanoma_exp {quoted} name=spread distribution=multi_worker "
        f"hydra.run.dir={tmp_path}/spread/$SLURM_JOB_ID\n"
    )
    log = tmp_path / "job.log"
    submitted = subprocess.run(["sbatch", "--wait", "-o", log, script], env=cluster, timeout=900)
    assert submitted.returncode == 0, log.read_text()
    losses = {run.info.run_name: run.data.metrics["train/loss"] for run in runs(tmp_path)}
    assert set(losses) == {"alone", "spread"}
    np.testing.assert_allclose(losses["spread"], losses["alone"], rtol=1e-5)

"""A sweep survives its jobs, is checked before it starts, and is recorded under one run."""

import json
import os
import re
from pathlib import Path

import extension
import psutil
import pytest
from small_run import runs, store
from sweeps import ended, jobs_csv, melanoma_exp, parent_of, words

# Jobs misbehave after their first epoch, each in the way its seed says, until they are fixed.
SABOTAGE = """
import os, signal, sys
def install():
    from melanoma_exp.training.loop import Loop
    step = Loop.on_train_batch_end
    def sabotaged(self, batch, logs=None):
        step(self, batch, logs)
        if self.state.epoch != 1 or os.path.exists(os.environ["FIXED"]):
            return
        if self._train.seed == 1:
            raise ValueError("a job that raises")
        if self._train.seed == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._train.seed == 3:
            bytearray(2**62)
    Loop.on_train_batch_end = sabotaged
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "melanoma_exp.run.recorder":
            sys.meta_path.remove(self)
            install()
if "FIXED" in os.environ:
    sys.meta_path.insert(0, Finder())
"""


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_sweep_survives_its_jobs_and_is_resumed(images: Path, tmp_path: Path) -> None:
    """One raises, one is killed, one runs out of memory, and one finishes."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SABOTAGE)
    environment = {
        "PYTHONPATH": f"{tmp_path / 'site'}:{os.environ.get('PYTHONPATH', '')}",
        "FIXED": str(tmp_path / "fixed"),
    }
    command = words(images, tmp_path, "seed=0,1,2,3", "hydra.launcher.slots=2")
    code, said = ended(melanoma_exp(tmp_path, "-m", *command, **environment), 700)
    assert code == 1, said
    states = [row["state"] for row in jobs_csv(tmp_path)]
    assert states == ["finished", "failed", "killed", "failed"], said
    table = said[said.index("not finished") :]
    assert "ValueError: a job that raises" in table and "killed by SIGKILL" in table
    assert "MemoryError" in table
    assert all(f"log: {tmp_path}/sweep/{k}/job.log" in table for k in (1, 2, 3))
    assert "Traceback" not in said and "Traceback" in (tmp_path / "sweep/1/job.log").read_text()
    parent = parent_of(tmp_path)
    assert parent.info.status == "FAILED" and parent.data.metrics["jobs_finished"] == 1
    children = [run for run in runs(tmp_path) if run.info.run_id != parent.info.run_id]
    assert len(children) == 4
    assert {r.data.tags["mlflow.parentRunId"] for r in children} == {parent.info.run_id}
    statuses = sorted(run.info.status for run in children)
    assert statuses == ["FAILED", "FAILED", "FINISHED", "KILLED"]

    code, said = ended(melanoma_exp(tmp_path, "resume-sweep", "sweep", "--dry-run"))
    assert code == 0 and "3 of 4 jobs are missing" in said and "job 2 (killed) resumes" in said

    (tmp_path / "fixed").touch()
    code, said = ended(melanoma_exp(tmp_path, "resume-sweep", "sweep", **environment), 700)
    assert code == 0, said
    assert "1 have finished already" in said
    assert {row["state"] for row in jobs_csv(tmp_path)} == {"finished"}
    assert parent_of(tmp_path).info.status == "FINISHED"
    children = [run for run in runs(tmp_path) if "sweep_parent" not in run.data.tags]
    assert len(children) == 4 and {r.info.status for r in children} == {"FINISHED"}
    assert "resumes after epoch 1" in (tmp_path / "sweep/2/job.log").read_text()
    best = parent_of(tmp_path).data
    scores = {r.info.run_id: r.data.metrics["final/val/balanced_accuracy"] for r in children}
    assert best.metrics["best/val/balanced_accuracy"] == max(scores.values())
    assert scores[best.tags["best_run"]] == max(scores.values())
    kept = {a.path for a in store(tmp_path).list_artifacts(parent_of(tmp_path).info.run_id)}
    assert kept >= {"jobs.csv", "comparison.html", "comparison.csv", "curves.png"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_that_hangs_is_ended_with_its_threads(images: Path, tmp_path: Path) -> None:
    """A policy reads a pipe: threads wait in `open` for ever and no signal reaches them."""
    os.mkfifo(tmp_path / "pipe")
    policy = extension.write(tmp_path / "lab")
    hangs = f'open("{tmp_path / "pipe"}").read()'
    policy.write_text(
        policy.read_text().replace("return (image", f"{hangs}\n        return (image")
    )
    command = words(
        images,
        tmp_path,
        "seed=1",
        f"extend={policy}",
        "augment=darker",
        "hydra.launcher.timeout_minutes=0.4",
        "hydra.launcher.grace_seconds=2",
    )
    code, said = ended(melanoma_exp(tmp_path, "-m", *command), 500)
    assert code == 1 and "job 0  timed out" in said, said
    (row,) = jobs_csv(tmp_path)
    assert row["state"] == "timed out" and float(row["seconds"]) > 24
    number = int(
        json.loads((tmp_path / "sweep/0/status.json").read_text())["process"].split(":")[1]
    )
    assert not psutil.pid_exists(number)
    assert parent_of(tmp_path).info.status == "FAILED"


def test_a_rejected_job_is_reported_before_any_starts(images: Path, tmp_path: Path) -> None:
    command = words(images, tmp_path, "model.dropout=0.1,1.5,0.2", "train.epochs=1")
    code, said = ended(melanoma_exp(tmp_path, "-m", *command))
    assert code == 2 and "job 1: model.dropout" in said and "no job was started" in said
    assert len(said.splitlines()) == 2
    assert not (tmp_path / "mlruns").exists() and not list(tmp_path.rglob("job.log"))


@pytest.mark.parametrize(
    ("word", "line"),
    [
        ("hydra.launcher.slots=0", "hydra.launcher.slots: .* greater than or equal to 1 .got 0"),
        ("hydra/launcher=basic", "hydra/launcher=basic: sweeps are launched by local or slurm"),
        ("hydra/launcher=slrum", "hydra/launcher=slrum: there is no such option; .*slurm"),
        ("hydra/launcher=slurm", "hydra/launcher=slurm: there is no command sbatch"),
        ("evaluation.objective=val/kappa,val/accuracy", "^evaluation.objective: a sweep has one "),
        ("dataset=isic9", "dataset.root: isic9 needs a folder: .*\nno job was started"),
    ],
)
def test_what_no_job_could_run_with_is_reported_before_any_starts(
    tmp_path: Path, word: str, line: str
) -> None:
    place = f"hydra.sweep.dir={tmp_path}"
    code, said = ended(melanoma_exp(tmp_path, "-m", "seed=1,2", word, place, PATH="/nowhere"))
    assert code == 2 and re.search(line, said) and "Traceback" not in said, said


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_jobs_go_through_submitit_too(images: Path, tmp_path: Path) -> None:
    pytest.importorskip("submitit")
    command = [w for w in words(images, tmp_path) if not w.startswith("tracking.")]
    launcher = ["hydra/launcher=slurm", "hydra.launcher.cluster=local", "tracking=off"]
    process = melanoma_exp(tmp_path, "-m", *command, "seed=1,99999999999", *launcher)
    assert ended(process)[0] == 2
    extension.write(tmp_path / "lab")
    command += ["train.batch_size=7,8", "distribution=mirrored"]
    command += ["extend=lab/my_lab.py", "augment=darker"]
    command.remove("train.batch_size=8")
    virtual = "distribution.virtual_cpus=true"
    code, said = ended(melanoma_exp(tmp_path, "-m", *command, virtual, *launcher), 800)
    assert code == 1 and "train.batch_size=7 is not divisible by 2 replicas" in said, said
    assert "empty job array" not in said
    assert [row["state"] for row in jobs_csv(tmp_path)] == ["failed", "finished"]
    assert (tmp_path / "sweep/1/artifacts/model.weights.h5").exists()

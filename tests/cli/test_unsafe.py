"""The command line runs no code of the current folder, tells no secret, stays in its folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from melanoma_exp.cli import compose, unsafe
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

ROOT = Path(__file__).parents[2]


def test_plugins_of_the_current_folder_are_not_executed(tmp_path: Path) -> None:
    (tmp_path / "hydra_plugins").mkdir()
    (tmp_path / "hydra_plugins" / "theirs.py").write_text("raise SystemExit('executed')")
    (tmp_path / "yaml.py").write_text("raise SystemExit('executed')")
    done = subprocess.run(
        [sys.executable, "-m", "melanoma_exp", "--cfg", "job"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "executed" not in done.stderr
    assert "seed: 1" in done.stdout and "local" in done.stdout


def test_a_config_tells_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    for word in ("name=${oc.env:SECRET}", "+x='${oc.env:SECRET,none}'", "name=a${oc.env:SECRET}"):
        with pytest.raises(UserError, match=r"let the shell fill it in") as refused:
            compose.compose(conf_folder(), [word])
        assert "hunter2" not in str(refused.value)
    # Nor does a YAML, which no word shows.
    (tmp_path / "config.yaml").write_text("name: ${oc.env:SECRET}\n")
    with pytest.raises(UserError) as refused:
        compose.compose(tmp_path, [])
    assert "oc.env" in str(refused.value) and "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    "word",
    [
        "--experimental-rerun",
        "--experimental-rerun=a.pickle",
        "--exper",
        "hydra.output_subdir=../..",
        "++hydra.output_subdir=a/../../b",
        "hydra.output_subdir='../x'",
        "hydra.output_subdir=/tmp/x",
        "hydra.sweep.subdir=a,../b",
        "hydra.job.name=../x",
        "hydra.job={name: ../x}",
        "++hydra={sweep: {subdir: a/../../b}}",
        "hydra.sweep={subdir: a},{subdir: ../b}",
        "hydra.output_subdir=${name}",
        "hydra.output_subdir=${now:../..}",
        "hydra.output_subdir=${hydra.runtime.cwd}",
        "hydra.job_logging.handlers.file.filename=/tmp/x.log",
        "+hydra.hydra_logging.handlers.x={class: subprocess.Popen, args: ls}",
        "+hydra.callbacks.x._target_=os.mkdir",
        "+hydra.callbacks={x: {_target_: os.mkdir, path: x}}",
        "hydra.launcher._target_=os.system",
    ],
)
def test_what_unpickles_runs_code_or_leads_out_is_refused(word: str) -> None:
    with pytest.raises(UserError) as refused:
        unsafe.refuse(["seed=1", word, "model=m2"])
    assert refused.value.lines[0].startswith(f"{word}: ")


def test_everything_else_passes() -> None:
    unsafe.refuse(
        ["hydra.output_subdir=null", "hydra.sweep.subdir=${hydra.job.num}", "-m", "--cfg"]
    )
    unsafe.refuse(["hydra.job_logging.root.level=DEBUG", "hydra.verbose=true", "model={a: ..}"])
    unsafe.refuse(["hydra.output_subdir=${now:%H}-${hydra.job.num}", "hydra/launcher=slurm"])
    unsafe.refuse(["hydra.run.dir=../there", "--multirun", "name=a..b", "hydra.job.name=x"])

"""Searches from the command line: their jobs, their results, and one that is resumed."""

import csv
import json
import os
import re
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from small_run import overrides, runs, store
from sweeps import ended, jobs_csv, melanoma_exp, parent_of

pytest.importorskip("optuna", reason="needs the extra `sweep`")


MEDIAN = ("n_startup_trials=1", "n_warmup_epochs=1")
HALVING = ("min_epochs=2", "reduction_factor=2")


def command(images: Path, place: Path, *more: str, rule: Sequence[str] = MEDIAN) -> list[str]:
    """Returns a search in which a rate of 1000 is always behind one of 0.001."""
    name = "successive_halving" if rule is HALVING else "median"
    return [
        "-m",
        *overrides(images, place, "train.epochs=3"),
        "hydra/sweeper=optuna",
        "train.learning_rate=0.001,1000.0",
        "hydra.sweeper.n_trials=3",
        "hydra.sweeper.sampler=random",
        "hydra.sweeper.seed=7",
        f"hydra/sweeper/pruner={name}",
        *(f"hydra.sweeper.pruner.{word}" for word in ("monitor=val/loss", *rule)),
        f"hydra.sweep.dir={place / 'sweep'}",
        *more,
    ]


@pytest.mark.timeout(300)
def test_a_search_from_command_line_to_page(images: Path, tmp_path: Path) -> None:
    code, said = ended(melanoma_exp(tmp_path, *command(images, tmp_path)))
    assert code == 0, said
    rows = jobs_csv(tmp_path)
    rates = [row["overrides"].partition("train.learning_rate=")[2].split()[0] for row in rows]
    assert rates == ["0.001", "1000.0", "0.001"]
    assert [row["state"] for row in rows] == ["finished", "pruned", "finished"]
    assert "3 of 3 done, 1 of them pruned, 0 failed" in said and "optimistic" in said
    lost = 1
    assert "behind the median of the other jobs at epoch 1" in rows[lost]["last"]
    parent = parent_of(tmp_path)
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["jobs_pruned"] == 1
    page = (tmp_path / "sweep/results/search.html").read_text()
    assert "train.learning_rate" in page and "not a medical device" in page
    assert "<script src" not in page  # it needs no network
    pruned_run = next(r for r in runs(tmp_path) if r.info.run_id == rows[lost]["run_id"])
    assert pruned_run.info.status == "KILLED" and "median" in pruned_run.data.tags["pruned"]
    assert not list((tmp_path / "mlruns").rglob(f"{pruned_run.info.run_id}/*epoch*"))
    code, said = ended(melanoma_exp(tmp_path, "resume", pruned_run.info.run_id, *storage(tmp_path)))
    assert code == 2 and "was given up by a search" in said

    code, said = ended(melanoma_exp(tmp_path, *command(images, tmp_path, "model.dropout=0.1,0.2")))
    assert code == 2 and "holds another search" in said


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_another_objective_ranks_the_jobs_and_another_monitor_prunes_them(
    images: Path, tmp_path: Path
) -> None:
    more = [
        "evaluation.objective=val/brier",
        "hydra.sweeper.pruner.monitor=val/macro_auc",
        "hydra.sweeper.pruner.n_warmup_epochs=9",
        "hydra.sweeper.n_trials=2",
    ]
    code, said = ended(melanoma_exp(tmp_path, *command(images, tmp_path, *more)))
    assert code == 0, said
    rows = jobs_csv(tmp_path)
    best = min(rows, key=lambda row: float(row["val_brier"]))  # the lower the better
    assert len({row["val_brier"] for row in rows}) == 2
    assert f"best: job {best['job']} " in said and f"brier {float(best['val_brier']):.3f}" in said
    assert parent_of(tmp_path).data.tags["best_run"] == best["run_id"]
    series = store(tmp_path).get_metric_history(best["run_id"], "val/macro_auc")
    assert [point.step for point in series] == [1, 2, 3]
    with (tmp_path / "sweep/results/comparison.csv").open() as file:
        first, second = (float(row["val/brier"]) for row in csv.DictReader(file))
    assert first < second


def storage(folder: Path) -> list[str]:
    return [f"tracking.folder={folder / 'mlruns'}"]


def outcomes(place: Path) -> list[tuple[str, ...]]:
    rows = jobs_csv(place)
    return [
        (
            row["job"],
            row["overrides"].split("train.learning_rate=")[1],
            row["state"],
            row["val_balanced_accuracy"],
        )
        for row in rows
    ]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rule", [("n_startup_trials=3", "n_warmup_epochs=1"), HALVING])
def test_a_killed_search_ends_as_one_that_was_not(
    rule: Sequence[str], images: Path, tmp_path: Path
) -> None:
    """Launcher and job get SIGKILL in the third job; then it is resumed, and made longer.

    By the median it cannot be pruned before it is killed, since only two have finished then.
    """
    tpe = [
        "hydra.sweeper.sampler=tpe",
        "train.learning_rate=tag(log,interval(1e-4,1.0))",
        "hydra.sweeper.n_startup_trials=2",
        "hydra.sweeper.n_trials=5",
    ]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for folder in (whole, broken):
        folder.mkdir()
    code, said = ended(melanoma_exp(whole, *command(images, whole, *tpe, rule=rule)), 500)
    assert code == 0, said

    process = melanoma_exp(broken, *command(images, broken, *tpe, rule=rule))
    log = broken / "sweep/2/job.log"
    deadline = time.monotonic() + 300
    while not (log.exists() and "epoch 1/3" in log.read_text()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.1)
    status = json.loads((broken / "sweep/2/status.json").read_text())
    process.send_signal(signal.SIGKILL)
    os.killpg(int(status["process"].split(":")[1]), signal.SIGKILL)
    process.wait()
    code, said = ended(melanoma_exp(broken, "resume-sweep", "sweep", "--dry-run"))
    assert code == 0 and "job 2 (running) resumes" in said, said
    assert "until there are 5" in said
    # From another folder: relative paths stay what they were.
    code, said = ended(melanoma_exp(tmp_path, "resume-sweep", "broken/sweep"), 500)
    assert code == 0, said
    assert [row[0] for row in outcomes(broken)] == list("01234")
    # Folders differ, so the words do; values, states and scores are equal to the last digit.
    assert outcomes(broken) == outcomes(whole)
    more = ["resume-sweep", "sweep", "hydra.sweeper.n_trials=6"]
    code, said = ended(melanoma_exp(broken, *more), 500)
    assert code == 0 and len(jobs_csv(broken)) == 6, said


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ["hydra.sweeper.pruner.monitor=loss"],
            "^hydra.sweeper.pruner.monitor: loss is .*mean val/loss",
        ),
        (["hydra.sweeper.storage=nosql://x"], "^hydra.sweeper.storage: nosql://x cannot be opened"),
        (["hydra.sweeper.storage='a://u:secret@h/d'"], r"^hydra.sweeper.storage: .* a://u:\*{3}@h"),
    ],
)
def test_a_wrong_option_is_one_line(
    images: Path, tmp_path: Path, words: list[str], line: str
) -> None:
    space = ["hydra/sweeper=optuna", "model.dropout=0.1,0.2"]
    place = f"hydra.sweep.dir={tmp_path / 'sweep'}"
    command = [*overrides(images, tmp_path), *space, *words, place]
    code, said = ended(melanoma_exp(tmp_path, "-m", *command))
    assert code == 2 and len(said.splitlines()) == 1 and re.search(line, said), said
    assert not list(tmp_path.rglob("job.log")) and not (tmp_path / "mlruns").exists()


@pytest.mark.slow
def test_without_optuna_one_line_says_what_to_install(images: Path, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['optuna'] = None\n")
    path = f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"
    words = [*overrides(images, tmp_path), "hydra/sweeper=optuna", "model.dropout=0.1,0.2"]
    code, said = ended(melanoma_exp(tmp_path, "-m", *words, PYTHONPATH=path))
    assert code == 2 and said.strip().endswith("pip install 'melanoma_exp[sweep]'"), said
    plain = [*overrides(images, tmp_path, "train.epochs=1"), "seed=1"]
    code, said = ended(melanoma_exp(tmp_path, "-m", *plain, PYTHONPATH=path))
    assert code == 0, said  # any other sweep needs it not

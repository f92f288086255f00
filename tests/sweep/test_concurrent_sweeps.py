"""Sweeps that start at once share a new store, and prepare their data once."""

import json
import math
import os
import sqlite3
import subprocess
import sys
import uuid
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
from small_run import CHILDREN, overrides, runs, store

from melanoma_exp.tracking.local import Local

# Notes every file and folder that is put into the cache, by whatever process.
COUNTING = """
import os
def counted(move):
    def moved(source, target, **options):
        move(source, target, **options)
        with open(os.environ["COUNTED"], "a") as file:
            file.write(f"{target}\\n")
    return moved
if "COUNTED" in os.environ:
    os.replace, os.rename = counted(os.replace), counted(os.rename)
"""


def counting(place: Path) -> dict[str, str]:
    """Returns the environment of processes whose moves are noted in `place/moves`."""
    (place / "site").mkdir()
    (place / "site" / "sitecustomize.py").write_text(COUNTING)
    path = f"{place / 'site'}:{os.environ.get('PYTHONPATH', '')}"
    return {**os.environ, "PYTHONPATH": path, "COUNTED": str(place / "moves")}


def made(place: Path) -> Counter[str]:
    """Returns how often each entry of the cache was made."""
    moves = (place / "moves").read_text().splitlines()
    cache = place / "cache"
    return Counter(str(Path(m).relative_to(cache)) for m in moves if Path(m).is_relative_to(cache))


def test_runs_that_start_at_once_prepare_their_data_once(images: Path, tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]);"
        "from pathlib import Path; from small_run import experiment;"
        "from melanoma_exp.run import runner;"
        "runner.prepare_data(experiment(Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))"
    )
    command = [
        sys.executable,
        "-c",
        code,
        Path(__file__).parents[1] / "support",
        images,
        tmp_path,
        *CHILDREN,
    ]
    environment = counting(tmp_path)
    started = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait(200) for process in started] == [0, 0, 0]
    counted = made(tmp_path)
    kinds = {name.split("/")[0] for name in counted}
    assert kinds >= {"decoded", "children", "audits"}
    assert set(counted.values()) == {1}, counted


def test_runs_that_add_the_same_dataset_at_once_both_have_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second run adds it between the first one's look and its writing."""
    from mlflow.store.tracking import sqlalchemy_store

    tracking = Local(kind="local", folder=tmp_path / "mlruns", experiment="e")
    first, second = (tracking.start(name, tmp_path) for name in ("first", "second"))

    def interfere() -> uuid.UUID:
        monkeypatch.undo()
        second.log_dataset("demo", "digest", "generated", {})
        return uuid.uuid4()

    monkeypatch.setattr(sqlalchemy_store, "uuid", SimpleNamespace(uuid4=interfere))
    first.log_dataset("demo", "digest", "generated", {})
    for run in (first, second):
        run.end("FINISHED")
        (known,) = store(tmp_path).get_run(run.id).inputs.dataset_inputs
        assert known.dataset.digest == "digest"


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_sweeps_at_once_lose_nothing(images: Path, tmp_path: Path) -> None:
    """Two sweeps of eight jobs, all sixteen at once, the store and the cache not there yet."""
    epochs = 3
    command = [
        *(w for w in overrides(images, tmp_path, *CHILDREN) if not w.startswith("train.epochs")),
        f"train.epochs={epochs}",
        "seed=range(8)",
        "hydra.launcher.slots=8",
    ]
    environment = counting(tmp_path)
    sweeps = [
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "melanoma_exp",
                "-m",
                *command,
                f"hydra.sweep.dir={tmp_path}/sweep{k}",
            ],
            env=environment,
            cwd=tmp_path,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        for k in range(2)
    ]
    said = [sweep.communicate(timeout=2800)[0] for sweep in sweeps]
    assert [sweep.returncode for sweep in sweeps] == [0, 0], "\n".join(said)
    found = runs(tmp_path)
    assert [run.info.status for run in found] == ["FINISHED"] * 18
    with sqlite3.connect(tmp_path / "mlruns" / "mlflow.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    client = store(tmp_path)
    children = [run for run in found if "sweep" in run.data.tags]
    for run in children:
        for key in ("train/loss", "val/loss", "train/accuracy", "val/accuracy", "learning_rate"):
            points = client.get_metric_history(run.info.run_id, key)
            assert [point.step for point in points] == list(range(1, epochs + 1)), key
        # Each process wrote what it found to its own folder too: all of it is in the store.
        folder = Path(run.data.tags["folder"])
        scores = json.loads((folder / "run.json").read_text())["scores"]
        expected = {
            f"final/{part}/{name}": value
            for part, figures in scores.items()
            for name, value in figures.items()
            if not math.isnan(value)
        }
        assert len(expected) > 20 and expected.items() <= run.data.metrics.items()
    twins = Counter((r.data.params["seed"], r.data.metrics["val/loss"]) for r in children)
    assert sorted(twins.values()) == [2] * 8  # equal jobs of the two sweeps: equal numbers
    assert set(made(tmp_path).values()) == {1}

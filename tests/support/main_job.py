"""Takes options through the whole main job in one process: FOLDER IMAGES EXPORTS OVERRIDE...

A run with card and figures, the same run stopped after its first epoch and resumed, another seed,
then compare, predict and, if EXPORTS is not empty, export to each of the named formats.
"""

import csv
import os
import signal
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from small_run import SMALL, runs
from stopped_run import same_weights

from melanoma_exp.cli import main
from melanoma_exp.report import console

ROOT = Path(__file__).resolve().parents[2]
EXPORTERS = find_spec("tf2onnx")  # of the extra `export`
ALL_FORMATS = "keras savedmodel onnx tflite" if EXPORTERS else "keras savedmodel"
CARD = ("evaluation.explained=4", "evaluation.figures=true")
PLAIN = ("evaluation.figures=false", "evaluation.explained=0")


def main_job(place: Path, images: Path, *words: str, formats: str = "") -> tuple[Path, Any]:
    """Runs the job and returns the artifacts' folder of its run, and the run."""
    swapped = [word.partition("=")[0] for word in words]  # an option brings keys of its own
    usual = [w for w in SMALL if w.partition("=")[0].split(".")[0] not in swapped or ".im" in w]
    small = [*usual, f"dataset.root={images}", *CARD, *words]
    command = [sys.executable, __file__, str(place), str(images), formats, *small]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (again,), (run,) = (
        [run for run in runs(place / store) if run.data.params["seed"] == "1"]
        for store in ("resumed", "whole")
    )
    folders = [Path(r.info.artifact_uri.removeprefix("file://")) for r in (run, again)]
    assert [r.info.status for r in (run, again)] == ["FINISHED", "FINISHED"]
    assert same_weights(*(folder / "model.weights.h5" for folder in folders))
    assert (folders[0] / "model_card.md").is_file()
    assert list((folders[0] / "figures").glob("explanations_*.png"))
    assert (place / "comparison" / "comparison.html").is_file()
    with (place / "worklist.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == len(list(images.rglob("*.png")))
    return folders[0], run


def melanoma_exp(*words: str) -> None:
    print("+ melanoma-exp", *words, flush=True)
    sys.argv = ["melanoma-exp", *words]
    main.main()


def stopped(*words: str) -> None:
    """Runs a job that gets a signal after its first epoch."""
    epoch = console.Screen.epoch

    def stop(self: Any, number: int, metrics: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    console.Screen.epoch = stop  # type: ignore[method-assign]
    try:
        melanoma_exp(*words)
    except SystemExit as ended:
        assert ended.code == 128 + signal.SIGTERM
    finally:
        console.Screen.epoch = epoch  # type: ignore[method-assign]


def whole_job(place: Path, images: str, formats: list[str], words: list[str]) -> None:
    extend = [word for word in words if word.startswith("extend=")]
    cache, whole, resumed = f"cache.dir={place}/cache", place / "whole", place / "resumed"
    here, there = (f"tracking.folder={store}/mlruns" for store in (whole, resumed))
    melanoma_exp(*words, here, cache, f"hydra.run.dir={whole}/job")
    stopped(*words, *PLAIN, there, cache, f"hydra.run.dir={resumed}/job")
    (run,), (again,) = runs(whole), runs(resumed)
    assert again.info.status == "KILLED"
    melanoma_exp("resume", again.info.run_id, there, cache, *extend)
    melanoma_exp(*words, *PLAIN, "seed=2", here, cache, f"hydra.run.dir={whole}/other")
    run_id = run.info.run_id
    ids = sorted((r.info.run_id for r in runs(whole)), key=run_id.__ne__)
    melanoma_exp("compare", *ids, here, cache, "--out", f"{place}/comparison", *extend)
    files = ["--out", f"{place}/worklist.csv", "--html", f"{place}/worklist.html"]
    melanoma_exp("predict", run_id, images, here, *files, *extend)
    if formats:
        wanted = [word for name in formats for word in ("--format", name)]
        melanoma_exp("export", run_id, here, cache, *wanted, "--out", f"{place}/out", *extend)


if __name__ == "__main__":
    whole_job(Path(sys.argv[1]), sys.argv[2], sys.argv[3].split(), sys.argv[4:])

"""Takes options through the whole main job in one process: FOLDER IMAGES EXPORTS OVERRIDE...

A run with card and figures, the same run stopped after its first epoch and resumed, another seed,
then compare, predict and, if EXPORTS is not empty, export to each of the named formats.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from small_run import runs

from melanoma_exp.cli import main
from melanoma_exp.report import console

PLAIN = ("evaluation.figures=false", "evaluation.explained=0")


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

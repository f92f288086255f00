"""Sweeps of small runs: their command line, their process and what they leave."""

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from small_run import overrides, runs


def words(images: Path, place: Path, *more: str) -> list[str]:
    """Returns the command line of a sweep of small jobs."""
    changed = {word.partition("=")[0] for word in more}
    base = [w for w in overrides(images, place) if w.partition("=")[0] not in changed]
    return [*base, *more, f"hydra.sweep.dir={place / 'sweep'}"]


def melanoma_exp(place: Path, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "melanoma_exp", *arguments],
        cwd=place,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, **environment},
    )


def ended(process: subprocess.Popen[str], timeout: float = 280) -> tuple[int, str]:
    said, _ = process.communicate(timeout=timeout)
    return process.returncode, said


def parent_of(place: Path) -> Any:
    (parent,) = (run for run in runs(place) if "sweep_parent" in run.data.tags)
    return parent


def jobs_csv(place: Path) -> list[dict[str, str]]:
    with (place / "sweep" / "results" / "jobs.csv").open() as file:
        return list(csv.DictReader(file))

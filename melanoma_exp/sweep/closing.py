"""The run that the jobs of a sweep lie below: made before them, told the results after them."""

import csv
import io
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from melanoma_exp.comparison import build, files, selection
from melanoma_exp.report import figures
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import screen
from melanoma_exp.sweep.folder import RESULTS, Job, Status, Sweep, open_sweep
from melanoma_exp.sweep.search import spec as searching
from melanoma_exp.system.files import write
from melanoma_exp.tracking.archive import Archive, StoredRun
from melanoma_exp.tracking.base import StoreError, SweepEnd
from melanoma_exp.tracking.off import Off

BY = "balanced_accuracy"
CURVES = ("val/accuracy", "val/loss")


def begin(folder: Path, process: str) -> None:
    """Makes the parent run, or opens it again.

    Args:
        folder: Of the sweep.
        process: Identifies the launcher.

    Raises:
        UserError: The tracking store cannot be used.
    """
    sweep = open_sweep(folder)
    os.chdir(sweep.directory)
    tracking = sweep.tracking
    if isinstance(tracking, Off) or all(job.experiment().dry_run for job in sweep.jobs):
        return
    sweep.set_parent(tracking.start_sweep(sweep.name, process, sweep.parent() or None))


def end(folder: Path, interrupted: bool) -> list[str]:
    """Writes the results of a sweep below its folder and into its parent run, and ends that.

    Args:
        folder: Of the sweep.
        interrupted: Whether a signal stopped it.

    Returns:
        Lines that say where they are.
    """
    sweep = open_sweep(folder)
    os.chdir(sweep.directory)
    place = folder / RESULTS
    place.mkdir(exist_ok=True)
    jobs = [(job, job.status()) for job in sweep.jobs]
    write(place / "jobs.csv", to_csv(jobs))
    lines = [f"results: {place}"]
    if not (parent := sweep.parent()):
        return lines
    try:
        return [*lines, *_record(sweep, jobs, parent, interrupted)]
    except StoreError as error:
        again = f"melanoma-exp resume-sweep {folder}"
        return [*lines, *error.lines, f"the sweep's own run is left as it is; later: {again}"]


def _record(
    sweep: Sweep, jobs: Sequence[tuple[Job, Status]], parent: str, interrupted: bool
) -> list[str]:
    """Compares, draws, and tells the parent run; returns lines for the screen."""
    tracking, place = sweep.tracking, sweep.folder / RESULTS
    assert not isinstance(tracking, Off)
    archive = tracking.archive()
    here = [pair for pair in jobs if sweep.parent(pair[0].experiment().tracking)]
    runs = [(job, status, archive.run(status.run_id)) for job, status in here if status.run_id]
    for _, status, run in runs:
        if run.status == "RUNNING" and not status.is_done:
            archive.mark_killed(run.id)
    finished = [(job, run) for job, _, run in runs if run.status == "FINISHED"]
    lines = _compare(archive, sweep, [run for _, run in finished], place)
    _draw(archive, finished, place)
    if searching.exists(sweep.folder):
        from melanoma_exp.sweep.search.page import write_page

        write_page(sweep.folder, sweep.name, place)
    tags, metrics = {}, {"jobs": float(len(jobs))}
    metrics["jobs_finished"] = float(sum(status.state == "finished" for _, status in jobs))
    best = screen.find_best([(job, status) for job, status, _ in runs])
    for job, status, run in runs:
        if best is not None and job is best[0]:
            tags = {"best_run": run.id, "best_job": str(job.number)}
            final = {k: v for k, v in run.metrics.items() if k.startswith("final/")}
            metrics |= {f"best/{key.removeprefix('final/')}": v for key, v in final.items()}
            lines.append(f"best: job {job.number} {job.name}, {screen.told(status)}, run {run.id}")
            if searching.exists(sweep.folder):
                lines += _how_to_judge(job, len(jobs))
    if pruned := sum(status.state == "pruned" for _, status in jobs):
        metrics["jobs_pruned"] = float(pruned)
    ended = all(status.is_done for _, status in jobs)
    result = SweepEnd(
        "KILLED" if interrupted else "FINISHED" if ended else "FAILED",
        sorted(place.iterdir()),
        metrics,
        tags,
    )
    tracking.end_sweep(parent, result)
    return [*lines, f"tracked: {tracking.describe()}, run {parent}"]


def _how_to_judge(job: Job, among: int) -> list[str]:
    """Returns what to do with the best job of a search: its score flatters."""
    words = " ".join(shlex.quote(word) for word in job.overrides)
    return [
        f"it was chosen among {among} jobs by this very figure, which flatters it; judge it on "
        "seeds that had no part in that:",
        f"  melanoma-exp -m {words} hydra/sweeper=basic hydra.sweeper.params=null seed=101,102,103",
    ]


def to_csv(jobs: Sequence[tuple[Job, Status]]) -> str:
    """Returns a row a job: how it ended, its score, and what it said last if it failed."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    heads = ("job", "name", "overrides", "state", "seconds", "run_id", f"val_{BY}", "leaky", "last")
    writer.writerow(heads)
    for job, status in jobs:
        ok = status.state == "finished"
        last = [] if ok else job.last_lines()[-1:]
        score = "" if status.score is None else repr(round(status.score, 6))
        seconds = f"{status.ended - status.started:.1f}" if status.ended else ""
        leaky = str(status.leaky).lower() if ok else ""
        writer.writerow(
            [
                job.number,
                job.name,
                " ".join(job.overrides),
                status.state,
                seconds,
                status.run_id,
                score,
                leaky,
                "".join(last),
            ]
        )
    return text.getvalue()


def _compare(archive: Archive, sweep: Sweep, runs: Sequence[StoredRun], place: Path) -> list[str]:
    """Writes the comparison; says why where there is none."""
    chosen = selection.Selection(f"sweep {sweep.name}", tuple(runs), ())
    cache = sweep.jobs[0].experiment().cache.root()
    try:
        found = build.build(archive, chosen, named=False, by=BY)
        files.write(archive, found, place, 0, cache)
    except UserError as error:
        return [f"no comparison: {error.lines[-1]}"]
    return [found.verdict.headline]


def _draw(archive: Archive, runs: Sequence[tuple[Job, StoredRun]], place: Path) -> None:
    """Draws the validation curves of all finished runs into one figure."""
    curves = [
        figures.SweepCurve(
            f"{job.number} {job.name}",
            run.tags.get("leaky") != "false",
            {key: archive.series(run.id, key) for key in CURVES},
        )
        for job, run in runs
    ]
    with suppress(ValueError):  # nothing to draw
        figures.save(figures.sweep_curves(curves), place / "curves.png")

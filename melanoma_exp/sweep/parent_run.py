"""The run that the runs of a sweep are grouped under: made before them, given the results after."""

import io
import os
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from melanoma_exp.comparison import build, output, selection
from melanoma_exp.report import figures
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import progress
from melanoma_exp.sweep.folder import RESULTS, Job, Status, Sweep, open_sweep
from melanoma_exp.sweep.search import config as search_config
from melanoma_exp.system.files import write
from melanoma_exp.system.shown import TableWriter
from melanoma_exp.tracking.archive import Archive, StoredRun
from melanoma_exp.tracking.base import SweepEnd
from melanoma_exp.tracking.off import Off
from melanoma_exp.tracking.store import StoreError

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
    """Writes the results of a sweep into its folder and its parent run, and ends that run.

    Args:
        folder: Of the sweep.
        interrupted: Whether a signal stopped it.

    Returns:
        Lines that say where they are.
    """
    sweep = open_sweep(folder)
    os.chdir(sweep.directory)
    results = folder / RESULTS
    results.mkdir(exist_ok=True)
    jobs = [(job, job.status()) for job in sweep.jobs]
    write(results / "jobs.csv", to_csv(jobs, sweep.objective.metric))
    lines = [f"results: {results}"]
    if not (parent := sweep.parent()):
        return lines
    try:
        return [*lines, *_record(sweep, jobs, parent, interrupted)]
    except StoreError as error:
        again = f"melanoma-exp resume-sweep {folder}"
        return [*lines, *error.lines, f"the sweep's own run is not complete; later: {again}"]


def _record(
    sweep: Sweep, jobs: Sequence[tuple[Job, Status]], parent: str, interrupted: bool
) -> list[str]:
    """Compares the runs, draws curves and ends the parent run; returns lines for the screen."""
    tracking, results, objective = sweep.tracking, sweep.folder / RESULTS, sweep.objective
    assert not isinstance(tracking, Off)
    is_search = search_config.exists(sweep.folder)
    archive = tracking.archive()
    here = [pair for pair in jobs if sweep.parent(pair[0].experiment().tracking)]
    runs = [(job, status, archive.run(status.run_id)) for job, status in here if status.run_id]
    for _, status, run in runs:
        if run.status == "RUNNING" and not status.is_done:
            archive.mark_killed(run.id)
    finished = [(job, run) for job, _, run in runs if run.status == "FINISHED"]
    lines = _compare(archive, sweep, [run for _, run in finished], results)
    _draw(archive, finished, results)
    if is_search:
        from melanoma_exp.sweep.search.search_html import write_html  # imports Optuna, an extra

        write_html(sweep.folder, sweep.name, results, objective)
    tags: dict[str, str] = {}
    metrics = {
        "jobs": float(len(jobs)),
        "jobs_finished": float(sum(status.state == "finished" for _, status in jobs)),
    }
    best = progress.find_best([(job, status) for job, status, _ in runs], objective)
    for job, status, run in runs:
        if best is not None and job is best[0]:
            tags = {"best_run": run.id, "best_job": str(job.number)}
            final = {k: v for k, v in run.metrics.items() if k.startswith("final/")}
            metrics |= {f"best/{key.removeprefix('final/')}": v for key, v in final.items()}
            end = progress.describe(status, objective)
            lines.append(f"best: job {job.number} {job.name}, {end}, run {run.id}")
            if is_search:
                lines += _how_to_test(job, len(jobs))
    if pruned := sum(status.state == "pruned" for _, status in jobs):
        metrics["jobs_pruned"] = float(pruned)
    ended = all(status.is_done for _, status in jobs)
    result = SweepEnd(
        "FINISHED" if ended else "KILLED" if interrupted else "FAILED",
        sorted(results.iterdir()),
        metrics,
        tags,
    )
    tracking.end_sweep(parent, result)
    return [*lines, f"tracked: {tracking.describe()}, run {parent}"]


def _how_to_test(job: Job, jobs: int) -> list[str]:
    """Returns what to do with the best job of a search: its score is optimistic."""
    words = " ".join(shlex.quote(word) for word in job.overrides)
    return [
        f"it was selected from {jobs} jobs by this score, which is therefore optimistic; test it "
        "on seeds that were not part of the search:",
        f"  melanoma-exp -m {words} hydra/sweeper=basic hydra.sweeper.params=null seed=101,102,103",
    ]


def to_csv(jobs: Sequence[tuple[Job, Status]], metric: str) -> str:
    """Returns a row a job: how it ended, its score, and if it failed its last line.

    Args:
        jobs: With their statuses.
        metric: The validation metric that is the score.
    """
    text = io.StringIO()
    heads = ["job", "name", "overrides", "state", "seconds", "run_id", f"val_{metric}", "leaky"]
    writer = TableWriter(text)
    writer.writerow([*heads, "last"])
    for job, status in jobs:
        finished = status.state == "finished"
        writer.writerow(
            [
                job.number,
                job.name,
                " ".join(job.overrides),
                status.state,
                f"{status.ended - status.started:.1f}" if status.ended else "",
                status.run_id,
                "" if status.score is None else repr(round(status.score, 6)),
                str(status.leaky).lower() if finished else "",
                "" if finished else "".join(job.last_lines()[-1:]),
            ]
        )
    return text.getvalue()


def _compare(archive: Archive, sweep: Sweep, runs: Sequence[StoredRun], results: Path) -> list[str]:
    """Writes the comparison; returns its headline, or why there is none."""
    chosen = selection.Selection(f"sweep {sweep.name}", tuple(runs), ())
    cache = sweep.jobs[0].experiment().cache.root()
    try:
        comparison = build.build(
            archive,
            chosen,
            named=False,
            by=sweep.objective.metric,
            higher_is_better=sweep.objective.higher_is_better,
        )
        output.write(archive, comparison, results, 0, cache)
    except UserError as error:
        return [f"no comparison: {error.lines[-1]}"]
    return [comparison.verdict.headline]


def _draw(archive: Archive, runs: Sequence[tuple[Job, StoredRun]], results: Path) -> None:
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
        figures.save(figures.sweep_curves(curves), results / "curves.png")

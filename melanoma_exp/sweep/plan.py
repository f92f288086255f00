"""From composed configs to the jobs of a sweep; all are checked before any starts."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from melanoma_exp import config
from melanoma_exp.spec import UserError
from melanoma_exp.sweep import launchers
from melanoma_exp.sweep.folder import EXPERIMENT, Job, Sweep, open_sweep
from melanoma_exp.sweep.folder import SWEEP as SWEEP_FILE
from melanoma_exp.system.files import read_text

SHOWN = 20  # mistakes


@dataclass(frozen=True)
class Composed:
    """One job as Hydra composed it.

    Attributes:
        number: From 0.
        overrides: Of the command line.
        content: Its config.
        experiment: The chosen option of the group `experiment`, "" if none.
        subfolder: Below the sweep's folder.
    """

    number: int
    overrides: Sequence[str]
    content: Mapping[str, Any]
    experiment: str
    subfolder: str


def plan(
    folder: Path,
    launcher: launchers.Local | launchers.Slurm,
    composed: Sequence[Composed],
    shared: Collection[str] | None = None,
) -> Sweep:
    """Checks every job and writes the sweep's folder; earlier jobs in it stay.

    Args:
        folder: Of the sweep.
        launcher: Where its jobs run.
        composed: The jobs to run now.
        shared: Overrides that all jobs of the sweep have; None finds them among these jobs.

    Raises:
        UserError: Jobs are rejected, a line for each mistake; or the folder holds another sweep.
    """
    launcher.check()
    folder = folder.absolute()
    experiments: dict[int, config.Experiment] = {}
    mistakes: dict[str, list[int]] = {}
    if shared is None and len(composed) > 1:
        shared = set.intersection(*(set(one.overrides) for one in composed))
    for one in composed:
        try:
            parsed = config.parse(one.content)
            parsed.dataset.check_environment()
        except UserError as error:
            for line in error.lines:
                mistakes.setdefault(line, []).append(one.number)
            continue
        name = parsed.name or distinct_name(
            parsed.run_name, [word for word in one.overrides if word not in (shared or ())]
        )
        experiments[one.number] = parsed.model_copy(update={"name": name})
    if mistakes:
        lines = [_with_jobs(line, numbers, len(composed)) for line, numbers in mistakes.items()]
        raise UserError(*lines[:SHOWN], "no job was started")
    before = open_sweep(folder) if (folder / SWEEP_FILE).exists() else None
    name = before.name if before else name_of(folder)  # its folder may have been renamed
    new = [
        Job(
            one.number,
            tuple(one.overrides),
            experiments[one.number].run_name,
            {"sweep": name, "job": str(one.number)}
            | ({"experiment": one.experiment} if one.experiment else {}),
            folder / one.subfolder,
        )
        for one in composed
    ]
    if len(ranked := sorted({one.evaluation.objective for one in experiments.values()})) > 1:
        raise UserError(f"evaluation.objective: a sweep has one (got {', '.join(ranked)})")
    jobs = {job.number: job for job in (*(before.jobs if before else ()), *new)}
    directory = before.directory if before else Path.cwd()
    sweep = Sweep(folder, name, directory, launcher, tuple(jobs[k] for k in sorted(jobs)))
    folder.mkdir(parents=True, exist_ok=True)
    sweep.save(experiments)
    return sweep


def same_but_for_name(jobs: Sequence[Job]) -> list[str]:
    """Returns a line for jobs whose settings differ in the name of the network alone."""
    found: dict[str, dict[str, int]] = {}
    for job in jobs:
        content = json.loads(read_text(job.folder / EXPERIMENT))
        name = str((content.get("model") or {}).pop("name", ""))
        content.pop("name", None)
        found.setdefault(json.dumps(content, sort_keys=True), {}).setdefault(name, job.number)
    twice = {tuple(sorted(names)): names for names in found.values() if len(names) > 1}
    return [
        f"jobs {' and '.join(str(n) for n in sorted(names.values()))} train the same network: "
        f"{' and '.join(key)} differ in name only (experiment=m1,m2,m3 also changes the data that "
        "the published stages see)"
        for key, names in twice.items()
    ]


def name_of(folder: Path) -> str:
    """Returns the name of the sweep in a folder."""
    return "/".join(folder.parts[-2:])


def distinct_name(name: str, overrides: Sequence[str]) -> str:
    """Returns a run name with the values of overrides that it does not contain yet.

    Data and folders are usually the same for a whole sweep; a seed or fold is in the name already.
    """
    silent = ("dataset.", "split.fold=", "tracking.", "cache.", "hydra.", "+", "~")
    words = [word.partition("=") for word in overrides if not word.startswith(silent)]
    values = [f"{key.rpartition('.')[2]}={_short(value)}" for key, _, value in words if "." in key]
    return " ".join([name, *values])[:100].translate(str.maketrans("/\\", "__")).strip()


def _short(value: str) -> str:
    """Returns a long number with three significant digits."""
    try:
        return f"{float(value):.3g}" if len(value) > 6 else value
    except ValueError:
        return value


def _with_jobs(line: str, numbers: Sequence[int], jobs: int) -> str:
    """Returns a mistake with the jobs that have it."""
    if len(numbers) == jobs:
        return line
    some = ", ".join(map(str, numbers[:5])) + " ..." * (len(numbers) > 5)
    return f"job{'s' * (len(numbers) > 1)} {some}: {line}"

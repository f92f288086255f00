"""Runs a study: trains what is missing, then writes table, tests and figure beside its question.

    python experiments/study.py 02-leak DIR                    # DIR holds the images
    python experiments/study.py 02-leak DIR --collect          # from runs that are in the store
    python experiments/study.py 02-leak DIR dataset.image_size=[64,64]   # a setting of every job

Runs are identified by their settings: of several with the same ones the newest counts, and what
was run is not run again, so that a long study can be made in pieces.
"""

import argparse
import itertools
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import results
from studies import STUDIES, Study

from melanoma_exp import config
from melanoma_exp.cli import compose
from melanoma_exp.comparison import build, selection
from melanoma_exp.comparison.build import Comparison
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder
from melanoma_exp.tracking.archive import Archive, StoredRun
from melanoma_exp.tracking.base import Tracking

HERE = Path(__file__).resolve().parent


def main(words: list[str], folder: Path = HERE) -> None:
    """Trains unless asked not to, and writes the results.

    Args:
        words: Of the command line.
        folder: Holds a folder a study, each with a README.
    """
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="Further words go to every job, e.g. dataset.image_size=[64,64].",
    )
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("root", type=Path, metavar="DIR", help="the dataset's folder")
    parser.add_argument("--collect", action="store_true", help="train nothing")
    given, more = parser.parse_known_args(words)
    study = STUDIES[given.study]
    common = [f"dataset.root={given.root.resolve()}", *more]
    try:
        tracking = composed([*study.jobs()[0], *_of_a_job(common)]).tracking
        if not given.collect:
            train(study, common, tracking)
        archive = tracking.archive()
        found = find(archive, [_settings(job, common) for job in study.jobs()])
        repeats = len(found) // len(study.rows)
        setups = {row: found[k * repeats :][:repeats] for k, row in enumerate(study.rows)}
        for name, (rows, views) in study.ensembles.items():
            members = [run for row in rows for run in setups[row]]
            for_each_seed = "seed" in study.repeats
            setups[name] = ensembles(archive, name, members, for_each_seed, views, common)
        compared = compare(archive, study, setups)
    except UserError as error:
        sys.exit("\n".join(error.lines))
    place, runs = folder / given.study, [run for each in setups.values() for run in each]
    results.write_runs(place / "results.csv", runs)
    results.write_epochs(place / "epochs.csv", archive, runs)
    lines = study.draw(compared, place / "figure.png")
    results.fill(place / "README.md", compared, lines, study.describe(archive, compared))
    print(f"{len(runs)} runs: {place}")


def train(study: Study, common: Sequence[str], tracking: Tracking) -> None:
    """Runs the jobs of a study that are not in the store, a sweep for each setup.

    Raises:
        UserError: Jobs failed; each has said why.
    """
    first, *others = study.repeats.items()
    failed = []
    for row in study.rows:
        for values in itertools.product(*(values for _, values in others)):
            words = [f"{k}={v}" for (k, _), v in zip(others, values, strict=True)]
            try:
                stored = tracking.archive().search("")
            except UserError:
                stored = []  # there is no store yet; where it cannot be reached, the run says so
            missing = [
                value
                for value in first[1]
                if not _newest(
                    stored, _settings(study.job(row, f"{first[0]}={value}", *words), common)
                )
            ]
            if missing:
                job = study.job(row, f"{first[0]}={','.join(missing)}", *words)
                command = [sys.executable, "-m", "melanoma_exp", "-m", *job, *common]
                if subprocess.run(command).returncode:
                    failed.append(" ".join([row, *words]))
    if failed:
        raise UserError(*(f"failed: {line}" for line in failed))


def composed(overrides: list[str]) -> config.Experiment:
    """Returns the experiment of a job, as its run records it."""
    experiment = config.parse(compose.compose(conf_folder(), overrides))
    return experiment.model_copy(update={"model": experiment.model.settle(resumed=False)})


def find(archive: Archive, jobs: Sequence[Mapping[str, Any]]) -> list[StoredRun]:
    """Returns for each job the newest finished run with its settings.

    Raises:
        UserError: Some were not run, with their settings.
    """
    stored = archive.search("")
    found, missing = [], []
    for job in jobs:
        if run := _newest(stored, job):
            found.append(run)
        else:
            missing.append(f"not run: {job['name']}")
    if missing:
        raise UserError(*missing)
    return found


def ensembles(
    archive: Archive,
    name: str,
    members: Sequence[StoredRun],
    for_each_seed: bool,
    views: Sequence[str],
    common: Sequence[str],
) -> list[StoredRun]:
    """Returns the newest finished ensemble of runs, or of each seed's; makes it if there is none.

    Raises:
        UserError: One could not be made; the command has said why.
    """
    joined: dict[str, list[str]] = {}  # ids of runs by the suffix of their ensemble's name
    for run in members:
        joined.setdefault(f"-s{run.params['seed']}" if for_each_seed else "", []).append(run.id)
    made = []
    for suffix, ids in joined.items():
        title = name + suffix
        if not _newest_ensemble(archive, title, ids):
            places = [word for word in common if word.startswith(("tracking", "cache"))]
            words = [*ids, "--name", title, *views, *places]
            subprocess.run([sys.executable, "-m", "melanoma_exp", "ensemble", *words])
        if not (run := _newest_ensemble(archive, title, ids)):
            raise UserError(f"failed: {title}")
        made.append(run)
    return made


def _newest_ensemble(archive: Archive, name: str, ids: Sequence[str]) -> StoredRun | None:
    of_ids = [r for r in archive.search("") if r.tags.get("ensemble_of") == " ".join(ids)]
    runs = [r for r in of_ids if r.status == "FINISHED" and r.name == name]
    return runs[-1] if runs else None


def compare(
    archive: Archive, study: Study, setups: Mapping[str, Sequence[StoredRun]]
) -> list[Comparison]:
    """Returns the comparison of each family of a study.

    Args:
        archive: Where the runs are recorded.
        study: Says what is tested against what.
        setups: The runs of each setup by its name.
    """
    compared = []
    for reference, others in study.families.items() or [("", list(setups))]:
        names = [reference, *others] if reference else list(others)
        runs = tuple(run for name in names for run in setups[name])
        chosen = selection.Selection(" and ".join(names), runs, ())
        first = setups[reference][0].id if reference else None
        compared.append(build.build(archive, chosen, True, "balanced_accuracy", reference=first))
    return compared


def _newest(stored: Sequence[StoredRun], job: Mapping[str, Any]) -> StoredRun | None:
    """Returns the newest finished run with the settings of a job."""
    settings = {k: str(v) for k, v in job.items() if config.determines(k)}
    if settings["train.precision"] == "auto":  # a run holds what its machine made of it
        del settings["train.precision"]
    alike = [
        run
        for run in stored
        if run.status == "FINISHED"
        and "seed" in run.params
        and all(run.params.get(key, value) == value for key, value in settings.items())
    ]
    return alike[-1] if alike else None


def _settings(job: Sequence[str], common: Sequence[str]) -> dict[str, Any]:
    return composed([*job, *_of_a_job(common)]).flat()


def _of_a_job(words: Sequence[str]) -> list[str]:
    return [word for word in words if not word.lstrip("+").startswith("hydra")]


if __name__ == "__main__":
    main(sys.argv[1:])

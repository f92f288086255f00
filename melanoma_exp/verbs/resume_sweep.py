"""The verb `resume-sweep`."""

from pathlib import Path

from melanoma_exp.spec import UserError
from melanoma_exp.verbs.arguments import Parser

PREFIX = "hydra.launcher."


def resume_sweep(words: list[str]) -> None:
    """DIR: runs what is missing of a sweep; interrupted jobs go on from their checkpoints."""
    example = "melanoma-exp resume-sweep mlruns/hydra/DATE/TIME hydra.launcher.slots=2"
    parser = Parser("resume-sweep", resume_sweep.__doc__, example)
    parser.add_argument("folder", type=Path, metavar="DIR", help="as the sweep printed it")
    parser.add_argument("--dry-run", action="store_true", help="list what would run, and stop")
    given, overrides = parser.split(words)
    strange = [word for word in overrides if not word.startswith(PREFIX)]
    if strange:
        raise UserError(
            f"resume-sweep: takes {PREFIX}... overrides only (got {' '.join(strange)}): the jobs "
            "are as they were"
        )
    from dataclasses import replace

    import yaml

    from melanoma_exp.sweeping import folder, launch, spec

    sweep = folder.open_sweep(given.folder)
    changes = {
        key.removeprefix(PREFIX): yaml.safe_load(value)
        for key, _, value in (word.partition("=") for word in overrides)
    }
    launcher = spec.parse({**sweep.launcher.model_dump(), **changes})
    missing = launch.missing(sweep)
    if given.dry_run:
        for job in missing:
            how = "goes on" if launch.begun(job) else "starts"
            print(f"job {job.number} ({job.status().state}) {how}: {job.name}")
        print(f"{len(missing)} of {len(sweep.jobs)} jobs are missing")
        return
    if missing:
        launcher.check()
    launch.run(replace(sweep, launcher=launcher), [job.number for job in sweep.jobs])

"""The command `resume-sweep`."""

from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser
from melanoma_exp.spec import UserError
from melanoma_exp.system.installation import conf_folder

if TYPE_CHECKING:
    from melanoma_exp.sweep.folder import Sweep
    from melanoma_exp.sweep.search.queue import SearchQueue

LAUNCHER, TRIALS = "hydra.launcher.", "hydra.sweeper.n_trials="


def resume_sweep(words: list[str]) -> None:
    """DIR: runs the missing jobs of a sweep; interrupted ones resume from their checkpoints."""
    example = "melanoma-exp resume-sweep mlruns/hydra/DATE/TIME hydra.launcher.slots=2"
    parser = Parser("resume-sweep", resume_sweep.__doc__, example)
    parser.add_argument("folder", type=Path, metavar="DIR", help="as the sweep printed it")
    parser.add_argument("--dry-run", action="store_true", help="list what would run, and stop")
    given, overrides = parser.split(words)
    strange = [word for word in overrides if not word.startswith((LAUNCHER, TRIALS))]
    if strange:
        raise UserError(
            f"resume-sweep: takes {LAUNCHER}... overrides only, for a search {TRIALS}... too (got "
            f"{' '.join(strange)}): the jobs do not change"
        )
    from dataclasses import replace

    import yaml

    from melanoma_exp.sweep import folder, launch, launchers
    from melanoma_exp.sweep.queue import FixedQueue
    from melanoma_exp.sweep.search import config

    sweep = folder.open_sweep(given.folder)
    changes = {
        key.removeprefix(LAUNCHER): yaml.safe_load(value)
        for key, _, value in (word.partition("=") for word in overrides)
        if key.startswith(LAUNCHER)
    }
    launcher = launchers.parse({**sweep.launcher.model_dump(), **changes})
    missing = launch.missing(sweep.jobs)
    if given.dry_run:
        for job in missing:
            how = "resumes" if launch.has_started(job) else "starts"
            print(f"job {job.number} ({job.status().state}) {how}: {job.name}")
        print(f"{len(missing)} of {len(sweep.jobs)} jobs are missing")
        if config.exists(sweep.folder):
            asked = config.read(sweep.folder).options.n_trials
            print(f"a search: new jobs are drawn until there are {asked}")
        return
    if missing:
        launcher.check()
    sweep = replace(sweep, launcher=launcher)
    with folder.locked(sweep.folder):
        sweep.settle()
        missing = launch.missing(sweep.jobs)  # an earlier launcher may have just ended
        launch.run(sweep, _search(sweep, overrides) or FixedQueue(missing))


def _search(sweep: "Sweep", overrides: list[str]) -> "SearchQueue | None":
    """Returns the queue of a search, None for any other sweep."""
    from melanoma_exp.sweep.search import config

    trials = [word.partition("=")[2] for word in overrides if word.startswith(TRIALS)]
    if not config.exists(sweep.folder):
        if trials:
            raise UserError(f"{TRIALS}{trials[-1]}: {sweep.folder} holds no search")
        return None
    search = config.read(sweep.folder)
    if trials:
        options = config.parse({**search.options.model_dump(), "n_trials": trials[-1]})
        search = search.model_copy(update={"options": options})
    search.options.check()
    from melanoma_exp.cli import compose
    from melanoma_exp.sweep.search.queue import SearchQueue

    search.save(sweep.folder)
    conf = conf_folder()
    return SearchQueue(search, sweep.folder, sweep.launcher, lambda w: compose.compose(conf, w))

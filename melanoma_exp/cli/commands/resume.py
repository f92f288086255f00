"""The command `resume`."""

import os
import shlex
from contextlib import ExitStack
from pathlib import Path

from melanoma_exp.cli.arguments import Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError
from melanoma_exp.system.watchdog import LAUNCHED


def resume(words: list[str]) -> None:
    """RUN_ID: resumes an interrupted run from its last checkpoint, with the same result."""
    parser = Parser("resume", resume.__doc__, "melanoma-exp resume RUN_ID", reads_run=True)
    parser.add_argument("run_id", help="of a run that was stopped or killed, as MLflow shows it")
    given, overrides = parser.split(words)
    check_run_ids([given.run_id], overrides)
    from melanoma_exp.distribution import cluster
    from melanoma_exp.run import one_writer, runner
    from melanoma_exp.run.resume import load

    here = compose_storage("resume", overrides)
    with ExitStack() as held:
        if not cluster.is_worker():
            if place := here.tracking.archive().run(given.run_id).tags.get("folder"):
                held.enter_context(one_writer.of_folder(Path(place)))
            held.enter_context(one_writer.of_run(here.tracking, Path(), given.run_id))
        here.tracking.sync(given.run_id)  # the store must know how far the run got
        states = here.tracking.state_folder(Path())
        before, folder = load(here.tracking.archive(), given.run_id, states)
        if LAUNCHED in os.environ and before.distribution.kind != "multi_worker":
            raise UserError(
                f"run {given.run_id} trains in one process (distribution="
                f"{before.distribution.kind}); resume with: melanoma-exp "
                f"{shlex.join(['resume', given.run_id, *overrides])}"
            )
        again = before.model_copy(update={"tracking": here.tracking, "cache": here.cache})
        runner.run(again, folder, {}, given.run_id)

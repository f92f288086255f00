"""The command `resume`."""

import os
import shlex

from melanoma_exp.cli.arguments import Parser, compose_storage
from melanoma_exp.spec import UserError
from melanoma_exp.system.watchdog import LAUNCHED


def resume(words: list[str]) -> None:
    """RUN_ID: resumes an interrupted run from its last checkpoint, with the same result."""
    parser = Parser("resume", resume.__doc__, "melanoma-exp resume RUN_ID", reads_run=True)
    parser.add_argument("run_id", help="of a run that was stopped or killed, as MLflow shows it")
    given, overrides = parser.split(words)
    from melanoma_exp.run import runner
    from melanoma_exp.run.resume import load

    here = compose_storage("resume", overrides)
    here.tracking.sync(given.run_id)  # the store must know how far the run got
    before, folder = load(here.tracking.archive(), given.run_id)
    if LAUNCHED in os.environ and before.distribution.kind != "multi_worker":
        raise UserError(
            f"run {given.run_id} trains in one process (distribution={before.distribution.kind}); "
            f"resume with: melanoma-exp {shlex.join(['resume', given.run_id, *overrides])}"
        )
    again = before.model_copy(update={"tracking": here.tracking, "cache": here.cache})
    runner.run(again, folder, {}, given.run_id)

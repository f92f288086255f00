"""The verb `resume`."""

from melanoma_exp.verbs.arguments import Parser, compose_place


def resume(words: list[str]) -> None:
    """RUN_ID: goes on with an interrupted run from its last checkpoint, to the same end."""
    parser = Parser("resume", resume.__doc__, "melanoma-exp resume RUN_ID")
    parser.add_argument("run_id", help="of a run that was stopped or killed, as MLflow shows it")
    given, overrides = parser.split(words)
    from melanoma_exp import resuming, runner
    from melanoma_exp.tracking import syncing

    here = compose_place("resume", overrides)
    syncing.deliver_before(given.run_id)  # the server must know how far the run is
    before, folder = resuming.load(here.tracking.archive(), given.run_id)
    again = before.model_copy(update={"tracking": here.tracking, "cache": here.cache})
    runner.run(again, folder, {}, given.run_id)

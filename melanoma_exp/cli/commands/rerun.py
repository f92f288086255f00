"""The command `rerun`."""

from melanoma_exp.cli.arguments import Parser, compose_storage


def rerun(words: list[str]) -> None:
    """RUN_ID: starts the same run again from its own experiment.json."""
    parser = Parser(
        "rerun", rerun.__doc__, "melanoma-exp rerun RUN_ID tracking.folder=mlruns", reads_run=True
    )
    parser.add_argument("run_id", help="of the run to repeat, as MLflow shows it")
    given, overrides = parser.split(words)
    from melanoma_exp import config
    from melanoma_exp.run import resume, runner

    here = compose_storage("rerun", overrides)
    text = here.tracking.archive().text(given.run_id, "experiment.json")
    again = config.parse_json(text).model_copy(
        update={"tracking": here.tracking, "cache": here.cache}
    )
    runner.run(again, resume.new_job_folder(), {"rerun_of": given.run_id})

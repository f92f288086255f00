"""The command `rerun`."""

from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.tracking.archive import Archive


def rerun(words: list[str]) -> None:
    """RUN_ID: starts the same run again from its own experiment.json; an ensemble from its runs."""
    parser = Parser(
        "rerun", rerun.__doc__, "melanoma-exp rerun RUN_ID tracking.folder=mlruns", reads_run=True
    )
    parser.add_argument("run_id", help="of the run to repeat, as MLflow shows it")
    given, overrides = parser.split(words)
    check_run_ids([given.run_id], overrides)
    from melanoma_exp import config
    from melanoma_exp.models import Ensemble
    from melanoma_exp.run import resume, runner

    here = compose_storage("rerun", overrides)
    archive = here.tracking.archive()
    archive.run(given.run_id).check_trained()
    before = config.parse_json(_recorded(archive, given.run_id))
    tags = {"rerun_of": given.run_id}
    if isinstance(before.model, Ensemble):
        from melanoma_exp.comparison import selection
        from melanoma_exp.run.ensemble import make

        members = selection.by_ids(archive, [member.run_id for member in before.model.members])
        inference = {member.run_id: member.inference for member in before.model.members}
        folder = resume.new_job_folder()
        make.make(archive, members.runs, here, folder, before.name, tags, inference)
        return
    again = before.model_copy(update={"tracking": here.tracking, "cache": here.cache})
    runner.run(again, resume.new_job_folder(), tags)


def _recorded(archive: "Archive", run_id: str) -> str:
    """Returns a run's `experiment.json`, which must be the one that its `model.json` names.

    A run that did not come to its end has no `model.json`, and one that lost it is repeated too.

    Raises:
        UserError: It is another, or is not there.
    """
    from melanoma_exp.prediction import manifest

    try:
        described = archive.file(run_id, manifest.NAME)
    except UserError:
        return archive.text(run_id, manifest.EXPERIMENT)
    path = archive.file(run_id, manifest.EXPERIMENT)
    return manifest.Manifest.read(described).read_text(manifest.EXPERIMENT, path)

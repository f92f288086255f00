"""The command `ensemble`."""

from melanoma_exp.cli.arguments import SWEEP, Parser, check_run_ids, compose_storage, sweep_name
from melanoma_exp.spec import UserError

DETAILS = """\
The ensemble is a run of its own: it predicts, serves, exports and is compared like any other. It
predicts the mean of its members' probabilities, each member weighted alike, and nothing is trained.
Members may be folds, seeds or different networks on the same data.

Its validation metrics are out of fold: an image is scored by those members alone that trained
neither on it nor on another image of its lesion. Test metrics are of all members, on the images
that test every one of them.

inference=... gives the members other test-time views and another correction of the predicted class
than they were run with; so the folds of one sweep are measured anew without training."""


def ensemble(words: list[str]) -> None:
    """RUN_ID RUN_ID ... | --sweep ID: averages finished runs into a new run, without training."""
    example = "melanoma-exp ensemble --sweep 2026-11-21/10-00-00 --name five-folds"
    parser = Parser("ensemble", ensemble.__doc__, example, reads_run=True)
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.add_argument("run_ids", nargs="*", metavar="RUN_ID", help="runs, as MLflow shows them")
    parser.add_argument("--sweep", metavar="ID", help=f"all finished runs of {SWEEP}")
    parser.add_argument("--name", metavar="NAME", help="of the new run")
    given, overrides = parser.split(words)
    if bool(given.run_ids) == (given.sweep is not None):
        raise UserError("ensemble: name runs or a --sweep: one of the two")
    check_run_ids(given.run_ids, [word for word in overrides if not word.startswith("inference")])
    from melanoma_exp.cli.arguments import compose_experiment
    from melanoma_exp.comparison import selection
    from melanoma_exp.run import resume
    from melanoma_exp.run.ensemble import make, members

    of_views = [word for word in overrides if word.startswith("inference")]
    here = compose_storage("ensemble", [word for word in overrides if word not in of_views])
    views = compose_experiment(of_views).inference if of_views else None
    if given.sweep is None:
        members.check_ids(given.run_ids)
    archive = here.tracking.archive()
    if given.sweep is None:
        chosen = selection.by_ids(archive, given.run_ids)
    else:
        chosen = selection.by_sweep(archive, sweep_name(given.sweep))
    for line in chosen.left_out:
        print(f"left out: {line}")
    changed = {run.id: views for run in chosen.runs} if views else {}
    make.make(archive, chosen.runs, here, resume.new_job_folder(), given.name, inference=changed)

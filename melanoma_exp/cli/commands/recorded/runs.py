"""The command `runs`."""

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import READS_RUN, Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError
from melanoma_exp.system.shown import file_size, printable

if TYPE_CHECKING:
    from melanoma_exp.config import Experiment
    from melanoma_exp.tracking.archive import StoredRun

DETAILS = """melanoma-exp runs lists id, state, start, headline figures and name of every run,
newest last. The figures are balanced accuracy on validation and on test, and the AUC of melanoma on
validation; choose by validation.

melanoma-exp runs delete RUN_ID ..., or delete --failed for all that are FAILED: they leave every
list, and MLflow can restore them. A run that is being written is refused. KILLED runs are not
failed: `resume` completes them.

melanoma-exp runs gc removes deleted runs of a local store for good, with files and checkpoints.

Both ask before they do anything; --yes answers."""
FIGURES = ("final/val/balanced_accuracy", "final/test/balanced_accuracy", "final/val/melanoma_auc")


def runs(words: list[str]) -> None:
    """[delete RUN_ID ... | delete --failed | gc]: lists recorded runs, and cleans up."""
    parser = Parser("runs", None, "melanoma-exp runs delete --failed")
    parser.description = f"lists recorded runs, and cleans up\n\n{DETAILS}"
    parser.epilog = f"{parser.epilog}{READS_RUN}"
    parser.add_argument("action", nargs="?", default="list", choices=("list", "delete", "gc"))
    parser.add_argument("run_ids", nargs="*", metavar="RUN_ID", help="of runs to delete")
    parser.add_argument("--failed", action="store_true", help="delete all that are FAILED")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    given, overrides = parser.split(words)
    if (given.action == "delete") != bool(given.run_ids or given.failed):
        raise UserError("runs: `delete` and what to delete (RUN_ID ... or --failed) go together")
    check_run_ids(given.run_ids, overrides)
    here = compose_storage("runs", overrides)
    if given.action == "list":
        _list(here)
    elif given.action == "delete":
        _delete(here, given.run_ids, given.failed, given.yes)
    else:
        _gc(here, given.yes)


def _list(here: "Experiment") -> None:
    found = _all(here)
    several = len({experiment for experiment, _ in found}) > 1
    print(f"{'run':<32}  {'state':<8}  {'started':<16}  {'val':>5}  {'test':>5}  {'AUC':>5}  name")
    for experiment, run in found:
        started = f"{datetime.fromtimestamp(run.started / 1000):%Y-%m-%d %H:%M}"
        figures = "  ".join(_figure(run.metrics.get(key)) for key in FIGURES)
        leaky = ", leaky" if run.tags.get("leaky") == "true" else ""
        place = f" ({experiment})" if several else ""
        name = printable(f"{run.name}{place}{leaky}")
        print(f"{run.id:<32}  {run.status:<8}  {started}  {figures}  {name}")
    print(_counted(len(found)) if found else "no run is recorded")


def _figure(value: float | None) -> str:
    return f"{value:5.3f}" if value is not None and value == value else f"{'':>5}"


def _all(here: "Experiment") -> list[tuple[str, "StoredRun"]]:
    """Returns every run with the name of its experiment, oldest first."""
    archive = here.tracking.archive()
    found = [(name, run) for name in archive.experiments() for run in archive.search("", name)]
    return sorted(found, key=lambda one: one[1].started)


def _delete(here: "Experiment", run_ids: list[str], failed: bool, yes: bool) -> None:
    from melanoma_exp.run import one_writer
    from melanoma_exp.tracking.upkeep import cleaning

    archive = here.tracking.archive()
    chosen = {run.id: run for run in map(archive.run, run_ids)}
    if failed:
        chosen |= {run.id: run for _, run in _all(here) if run.status == "FAILED"}
    for run in chosen.values():
        print(f"{run.id}  {run.status:<8}  {printable(run.name)}")
    if not _agreed(f"delete {_counted(len(chosen))}", len(chosen), yes):
        return
    for run in chosen.values():
        with one_writer.of_run(here.tracking, Path(), run.id):
            cleaning.delete(here.tracking.describe(), run.id)
    print(f"deleted {_counted(len(chosen))}; `melanoma-exp runs gc` removes them for good")


def _gc(here: "Experiment", yes: bool) -> None:
    from melanoma_exp.run import one_writer
    from melanoma_exp.tracking import place
    from melanoma_exp.tracking.upkeep import cleaning

    here.tracking.archive()  # which corrects the paths of a store that was moved
    uri = here.tracking.describe()
    if (folder := place.store_of(uri)) is None:
        raise UserError(
            f"runs gc: is for a store on this machine; run `mlflow gc` on that of {uri}"
        )
    found = cleaning.deleted(uri)
    for run_id, name in found:
        print(f"{run_id}  {printable(name)}")
    if not _agreed(f"remove {_counted(len(found), 'deleted ')} for good", len(found), yes):
        return
    freed = 0
    for run_id, _ in found:
        with one_writer.of_run(here.tracking, Path(), run_id):
            freed += cleaning.purge(folder, run_id)
    print(f"removed {_counted(len(found))}, freed {file_size(freed)}")


def _counted(count: int, which: str = "") -> str:
    return f"{count} {which}run{'s' * (count != 1)}"


def _agreed(what: str, count: int, yes: bool) -> bool:
    """Whether to go on: there is something to do, and the user says so."""
    if not count:
        print("nothing to do")
        return False
    if yes:
        return True
    if not sys.stdin.isatty():
        raise UserError(f"runs: would {what}; nobody can be asked here: say --yes")
    return input(f"{what}? [y/N] ").strip().lower() in ("y", "yes")

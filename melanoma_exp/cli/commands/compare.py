"""The command `compare`."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from melanoma_exp.cli.arguments import SWEEP, Parser, check_run_ids, compose_storage, sweep_name
from melanoma_exp.spec import UserError

if TYPE_CHECKING:
    from melanoma_exp.comparison.selection import Selection
    from melanoma_exp.tracking.archive import Archive

BY = (
    "figure that orders the rows, of validation unless test/ stands before it (default: "
    "%(default)s). Test figures stand beside and order nothing unless you ask: whoever chooses by "
    "the test images has no test any more"
)


def compare(words: list[str]) -> None:
    """RUN_ID ... | --sweep ID [RUN_ID ...] | --experiment NAME: which is better, is it shown?"""
    parser = Parser("compare", compare.__doc__, "melanoma-exp compare RUN_ID RUN_ID")
    parser.add_argument("run_ids", nargs="*", metavar="RUN_ID", help="runs, as MLflow shows them")
    parser.add_argument(
        "--sweep",
        metavar="ID",
        help=f"all finished runs of {SWEEP}; and the runs named beside it",
    )
    parser.add_argument("--experiment", metavar="NAME", help="all finished runs of an experiment")
    parser.add_argument("--by", default="balanced_accuracy", metavar="FIGURE", help=BY)
    parser.add_argument(
        "--reference",
        metavar="RUN_ID",
        help="test every setup against that of this run alone, such as a baseline or the full "
        "recipe of an ablation: fewer pairs, more power (default: all pairs of the first eight)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("comparison"),
        metavar="DIR",
        help="folder of comparison.html, .csv and .md (default: %(default)s)",
    )
    parser.add_argument(
        "--images",
        type=int,
        default=24,
        metavar="N",
        help="images on the page at most, of those that the best rows answer differently; 0 keeps "
        "every picture out of it (default: %(default)s)",
    )
    parser.add_argument(
        "--on",
        metavar="SET",
        help="compare what `evaluate` found on another set: its kind, as in dataset=, or its "
        "digest; nothing was trained or chosen on it",
    )
    given, overrides = parser.split(words)
    _check(given)
    check_run_ids(given.run_ids, overrides)
    here = compose_storage("compare", overrides)
    from melanoma_exp.comparison import build, output
    from melanoma_exp.report import console

    archive = here.tracking.archive()
    found = build.build(
        archive,
        _select(archive, given),
        not given.sweep and not given.experiment,
        given.by,
        reference=given.reference,
        on=given.on,
    )
    output.write(archive, found, given.out, given.images, here.cache.root())
    output.show(console.console(), found)
    print(f"page: {given.out / 'comparison.html'} (table: comparison.csv, comparison.md)")


def _check(given: argparse.Namespace) -> None:
    named = bool(given.run_ids) or given.sweep is not None
    if named == (given.experiment is not None):
        raise UserError(
            "compare: name runs, or a --sweep with further runs beside it, or an --experiment"
        )
    if given.images < 0:
        raise UserError(f"compare: --images counts images: 0 or more (got {given.images})")


def _select(archive: "Archive", given: argparse.Namespace) -> "Selection":
    from melanoma_exp.comparison import selection

    if given.sweep is not None:
        return selection.by_sweep(archive, sweep_name(given.sweep), given.run_ids)
    if given.run_ids:
        return selection.by_ids(archive, given.run_ids)
    return selection.by_experiment(archive, given.experiment)

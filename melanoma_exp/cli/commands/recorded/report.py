"""The command `report`."""

import shlex
from pathlib import Path

from melanoma_exp.cli.arguments import READS_RUN, Parser, check_run_ids, compose_storage
from melanoma_exp.spec import UserError

DETAILS = """One HTML file that needs nothing else: plan, images from found to used, figures with
intervals, curves, confusion with the images of each cell, worst mistakes, operating point,
calibration, subgroups, Grad-CAM, cost, settings, and how to repeat the run. A finished run has
it already, as its artifact report.html; this writes it again, also for runs of earlier versions.
What a run did not record is named at the end of the page.

Pictures are those of the run's dataset, if it is still where it was and has the same digest."""


def report(words: list[str]) -> None:
    """RUN_ID: writes the page of a run, one self-contained HTML file."""
    parser = Parser("report", report.__doc__, "melanoma-exp report RUN_ID --out run.html")
    parser.description = f"{parser.description}\n\n{DETAILS}"
    parser.epilog = f"{parser.epilog}{READS_RUN}"
    parser.add_argument("run_id", metavar="RUN_ID", help="as MLflow and `runs` show it")
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the file, replaced if it is there (default: report-<first 8 digits of RUN_ID>.html)",
    )
    parser.add_argument(
        "--images",
        type=int,
        default=240,
        metavar="N",
        help="images on the page at most, of every cell of the confusion some; 0 keeps every "
        "picture out of it (default: %(default)s)",
    )
    given, overrides = parser.split(words)
    if given.images < 0:
        raise UserError(f"report: --images counts images: 0 or more (got {given.images})")
    check_run_ids([given.run_id], overrides)
    here = compose_storage("report", overrides)
    archive = here.tracking.archive()
    from melanoma_exp.report.run_page import write
    from melanoma_exp.system import files

    again = "".join(f" {shlex.quote(word)}" for word in overrides)
    text = write.make(archive, given.run_id, here.cache.root(), given.images, again)
    out = given.out or Path(f"report-{given.run_id[:8]}.html")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        files.write(out, text)
    except OSError as error:
        raise UserError(f"--out {out}: cannot be written: {error.strerror}") from error
    print(f"page: {out} ({len(text.encode()) / 1e6:.1f} MB)")
